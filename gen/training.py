"""Training in torch: the float network that a recipe gives from the training images of a data set."""

import io
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hillock.hw.problems import HillockError
from hillock.sim.network import Shape
from hillock.sim.network_file import write_file

from .datasets import Dataset
from .float_network import FloatNetwork
from .recipes import Conversion, Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from .torch_models import ReluNetwork

__all__ = ["import_torch", "train_float"]


def import_torch() -> Any:
    """The module torch; only training needs it."""
    try:
        import torch
    except ModuleNotFoundError:
        raise HillockError("training: it needs torch, which is not installed: pip install 'hillock[train]'") from None
    return torch


def train_float(
    dataset: Dataset,
    recipe: Recipe,
    name: str,
    on_epoch: Callable[[int], object] = lambda epochs: None,
    checkpoint: Path | None = None,
) -> FloatNetwork:
    """The ReLU network that `recipe` gives from the training images of `dataset`; its test images are not looked at.

    `on_epoch` is told how many epochs have been done since it was last told. After each, everything is written to
    `checkpoint`; a training that finds its own there goes on from it, and gives what it would have given at once.
    """
    torch = import_torch()
    from .torch_models import ReluNetwork

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several threads add in an order of their own
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            image = Shape(dataset.channels, *dataset.image_shape)
            training = _Training(ReluNetwork(recipe, image), dataset, recipe)
            if checkpoint is not None and training.resume(checkpoint):
                on_epoch(training.epoch)
            while training.epoch < recipe.epochs:
                training.train_epoch()
                if checkpoint is not None:
                    training.save(checkpoint)
                on_epoch(1)
    finally:
        torch.set_num_threads(threads)
    return training.net.exported(name, np.float16 if recipe.half else np.float32)


class _Training:
    """A network that is being trained, with all that the next epoch depends on."""

    def __init__(self, net: "ReluNetwork", dataset: Dataset, recipe: Recipe):
        torch = import_torch()
        rows, columns = dataset.image_shape
        padding = ((0, 0), (recipe.shift, recipe.shift), (recipe.shift, recipe.shift), (0, 0))
        padded = np.pad(dataset.train_images.reshape(-1, rows, columns, dataset.channels), padding)
        self.net, self.recipe, self.epoch = net, recipe, 0
        self.rows, self.columns = torch.arange(rows), torch.arange(columns)
        self.images, self.labels = torch.tensor(padded), torch.tensor(dataset.train_labels)
        self.optimizer = torch.optim.AdamW(net.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
        steps = recipe.epochs * -(-len(self.images) // recipe.batch)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, recipe.learning_rate, total_steps=steps)
        self.cross_entropy = torch.nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
        plan = replace(recipe, conversion=Conversion())  # takes no part in the training
        self.about = {"recipe": repr(asdict(plan)), "data": dataset.digest, "torch": str(torch.__version__)}

    def train_epoch(self) -> None:
        torch = import_torch()
        for chosen in torch.randperm(len(self.images)).split(self.recipe.batch):
            images = self._moved(chosen)
            self.optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.recipe.brief):
                outputs = self.net(images).float()
            self._loss(outputs, images, self.labels[chosen]).backward()
            self.optimizer.step()
            self.schedule.step()
        self.epoch += 1

    def _moved(self, chosen: "Tensor") -> "Tensor":
        """These training images [images, channels, rows, columns], each shifted and perhaps flipped."""
        torch, recipe = import_torch(), self.recipe
        down, right = torch.randint(2 * recipe.shift + 1, (2, len(chosen), 1))
        rows, columns = self.rows + down, self.columns + right
        if recipe.flip:
            columns = torch.where(torch.rand(len(chosen), 1) < 0.5, columns, columns.flip(1))
        moved: Tensor = self.images[chosen[:, None, None], rows[:, :, None], columns[:, None, :]]
        return moved.permute(0, 3, 1, 2) / 255

    def _loss(self, outputs: "Tensor", images: "Tensor", labels: "Tensor") -> Any:
        if self.recipe.goal == "class":
            return self.cross_entropy(outputs, labels)
        return import_torch().nn.functional.mse_loss(outputs, images.permute(0, 2, 3, 1).flatten(1))

    def save(self, path: Path) -> None:
        torch, content = import_torch(), io.BytesIO()
        state = {name: getattr(self, name).state_dict() for name in ("net", "optimizer", "schedule")}
        torch.save({"about": self.about, "epoch": self.epoch, "random": torch.get_rng_state()} | state, content)
        write_file(path, content.getvalue())

    def resume(self, path: Path) -> bool:
        """Whether `path` holds a state of this very training, which is then taken."""
        torch = import_torch()
        if not path.exists():
            return False
        try:
            state = torch.load(path, weights_only=True)
        except Exception as error:  # whatever torch makes of damaged bytes
            raise HillockError(f"checkpoint {path}: it cannot be read ({error}): remove it to train anew") from None
        if state["about"] != self.about:
            return False
        for name in ("net", "optimizer", "schedule"):
            getattr(self, name).load_state_dict(state[name])
        torch.set_rng_state(state["random"])
        self.epoch = state["epoch"]
        return True
