"""Training works, and the networks that come with the project are what their `model.json` says."""

import dataclasses
import itertools
import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from hillock.gen import train
from hillock.gen.datasets import DATA_VARIABLE, Dataset, load_dataset
from hillock.gen.float_file import load_float
from hillock.gen.recipes import RECIPES, Conversion, Recipe
from hillock.gen.training import _Training, train_float
from hillock.hw.problems import HillockError
from hillock.sim import network_file
from hillock.sim.batch import run_batch
from hillock.sim.network import Decision, Shape

MODELS = Path(__file__).parents[2] / "models"
TRAINED = [name for name in RECIPES if (MODELS / name).is_dir()]
CLASSIFIERS = [name for name in TRAINED if RECIPES[name].goal == "class"]
ON_DIGITS = [name for name, recipe in RECIPES.items() if recipe.dataset == "digits"]

# Of what is committed: layers, weights (biases apart), the least accuracy of both networks, and by how much that of the
# integer one may be lower.
KNOWN = {
    "digits": (3, 64 * 128 + 1280, 0.97, 0.005),
    "mnist": (3, 784 * 128 + 1280, 0.975, 0.005),
    "net1-c": (5, 65_680, 0.992, 0.005),
    "net1-a": (5, 1_235_680, 0.992, 0.005),
    "digits-residual": (7, 72 + 576 + 576 + 8 + 72 + 1152 + 128 + 160, 0.97, 0.005),  # 8 of the identity
    "digits-autoencoder": (5, 72 + 576 + 576 + 72, 0.0, 0.0),
    "net2": (9, 1_285_536, 0.9, 0.005),
    "net3": (9, 235_584, 0.0, 0.0),
    "resnet20": (21, 271_136, 0.88, 0.005),
}


def record(name: str):
    return json.loads((MODELS / name / "model.json").read_text())


def remeasure(name: str) -> None:
    """Evaluate a committed network: the same images must be right, at every timestep."""
    dataset, told = load_dataset(RECIPES[name].dataset), record(name)
    result = run_batch(network_file.load(MODELS / name / "network.hlk"), dataset.test_images.astype(np.int64))
    images = len(dataset.test_labels)
    assert told["data"] == {"name": dataset.name, "digest": dataset.digest, "test_images": images}
    assert (result.decisions == dataset.test_labels).sum() == told["integer"]["correct"]
    right = (result.decisions_at == dataset.test_labels[:, None]).sum(axis=0)
    assert [round(int(number) / images, 6) for number in right] == told["integer"]["accuracy_by_timestep"]
    assert round(result.sop.sum() / images, 1) == told["integer"]["sop_per_image"]


def test_what_is_known():
    assert list(KNOWN) == TRAINED


@pytest.mark.parametrize("name", TRAINED)
def test_committed_network_is_the_recorded_one(name):
    told, recipe = record(name), RECIPES[name]
    network = network_file.load(MODELS / name / "network.hlk")
    assert told["command"] == f"python -m hillock.gen train {name}"
    assert told["recipe"] == json.loads(json.dumps(dataclasses.asdict(recipe)))
    assert told["integer"]["digest"] == network.digest()
    assert [layer.name for layer in network.layers] == ["encoder", *(plan.name for plan in recipe.layers)]
    how = recipe.conversion
    assert (network.weight_bits, network.fraction_bits, network.timesteps) == (
        how.weight_bits,
        how.fraction_bits,
        how.timesteps,
    )
    assert network.potential_bits == (how.potential_bits or told["quantization"]["potential_bits"])
    assert not any(layer["may_saturate"] for layer in told["quantization"]["layers"])
    layers, weights, *_ = KNOWN[name]
    assert len(network.layers) == layers
    assert sum(connection.synapses.weights.size for _, connection in network.walks()) == weights


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_committed_network_is_good_enough(name):
    told, (*_, least, lost) = record(name), KNOWN[name]
    assert told["float"]["accuracy"] >= least
    assert told["integer"]["accuracy"] >= least - 0.001
    same_images = told["float"].get("accuracy_on_the_same_images", told["float"]["accuracy"])
    assert told["integer"]["accuracy"] >= same_images - lost


def test_committed_autoencoder_is_good_enough():
    """Black images would have an error of 0.24, and the mean image one of 0.07."""
    told = record("digits-autoencoder")
    assert told["float"]["mse"] <= 0.005
    assert told["integer"]["mse"] <= 0.009
    assert told["integer"]["mse_from_float"] <= 0.005


@pytest.mark.parametrize("name", [name for name in ON_DIGITS if name in CLASSIFIERS])
def test_committed_digits_score_as_recorded(name):
    remeasure(name)
    dataset = load_dataset("digits")
    trained = load_float(MODELS / name / "float.npz")
    assert (trained.decisions(dataset.test_images) == dataset.test_labels).sum() == record(name)["float"]["correct"]


def test_committed_autoencoder_scores_as_recorded():
    """Rates against the images, and against what the ReLU network makes of them."""
    images, told = load_dataset("digits").test_images, record("digits-autoencoder")
    network = network_file.load(MODELS / "digits-autoencoder" / "network.hlk")
    assert (network.decision, network.layers[-1].shape) == (Decision.NONE, Shape(1, 8, 8))
    rates = run_batch(network, images.astype(np.int64)).counts / network.timesteps
    outputs = np.clip(load_float(MODELS / "digits-autoencoder" / "float.npz").outputs(images), 0, 1)
    assert told["float"] == {"mse": round(np.mean((outputs - images / 255) ** 2), 6)}
    assert told["integer"]["mse"] == round(np.mean((rates - images / 255) ** 2), 6)
    assert told["integer"]["mse_from_float"] == round(np.mean((rates - outputs) ** 2), 6)


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get(DATA_VARIABLE), reason=f"MNIST is read from {DATA_VARIABLE} in tests")
@pytest.mark.parametrize("name", ["mnist", "net1-c"])
def test_committed_mnist_scores_as_recorded(name):
    remeasure(name)


@pytest.mark.parametrize("name", ON_DIGITS)
def test_committed_digits_come_from_the_committed_float_network(name):
    trained = load_float(MODELS / name / "float.npz")
    network, report = train.convert(trained, load_dataset("digits"), RECIPES[name])
    assert network.digest() == record(name)["integer"]["digest"]
    told = record(name)["quantization"]["layers"]
    assert [dataclasses.asdict(layer.bounds) for layer in report.layers] == [layer["bounds"] for layer in told]


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get(DATA_VARIABLE), reason=f"MNIST is read from {DATA_VARIABLE} in tests")
@pytest.mark.parametrize("name", ["mnist", "net1-c", "net1-a"])
def test_committed_mnist_come_from_the_committed_float_network(name):
    trained = load_float(MODELS / name / "float.npz")
    network, _ = train.convert(trained, load_dataset("mnist"), RECIPES[name])
    assert network.digest() == record(name)["integer"]["digest"]


@pytest.fixture
def short(monkeypatch) -> Recipe:
    """The recipe of the digits, of which only a few epochs are left."""
    pytest.importorskip("torch")
    recipe = dataclasses.replace(RECIPES["digits"], epochs=12)
    monkeypatch.setitem(RECIPES, "digits", recipe)
    return recipe


def test_short_training(short, tmp_path):
    """A twenty-fifth of the epochs gives 95 %; what is returned is what is written, and the checkpoint is gone."""
    model = train.train_model("digits", tmp_path, work=tmp_path / "work", progress=False)
    folder = tmp_path / "digits"
    assert sorted(path.name for path in folder.iterdir()) == ["float.npz", "model.json", "network.hlk"]
    assert list((tmp_path / "work" / "digits").iterdir()) == []
    assert json.loads((folder / "model.json").read_text()) == json.loads(json.dumps(model.record))
    assert network_file.load(folder / "network.hlk").digest() == model.network.digest()
    assert model.record["integer"]["digest"] == model.network.digest()
    assert model.record["command"] == "python -m hillock.gen train digits"
    assert model.record["integer"]["accuracy"] >= 0.95
    assert model.record["float"]["accuracy"] >= 0.95


def test_short_training_of_an_autoencoder(monkeypatch, tmp_path):
    """A few epochs give something better than a grey image, on a scale on which the highest rate is white."""
    pytest.importorskip("torch")
    recipe = dataclasses.replace(RECIPES["digits-autoencoder"], epochs=25)
    monkeypatch.setitem(RECIPES, "digits-autoencoder", recipe)
    model = train.train_model("digits-autoencoder", tmp_path, work=tmp_path / "work", progress=False)
    assert model.record["float"]["mse"] <= 0.05
    assert model.record["integer"]["mse"] <= 0.06
    assert model.report.layers[-1].activation == 1.0
    assert model.network.decision is Decision.NONE


def test_training_depends_on_nothing_but_the_seed(short, tmp_path, capsys):
    import torch

    torch.manual_seed(1)
    work = tmp_path / "work"
    train.train_model("digits", tmp_path / "a", work=work, seed=3, progress=False)
    torch.manual_seed(2)
    before = torch.get_rng_state(), torch.get_num_threads()
    train.train_model("digits", tmp_path / "b", work=work, seed=3, progress=True)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]
    for path in (tmp_path / "a" / "digits").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / "digits" / path.name).read_bytes()
    told = json.loads((tmp_path / "a" / "digits" / "model.json").read_text())
    assert (told["command"], told["recipe"]["seed"]) == ("python -m hillock.gen train digits --seed 3", 3)


class _Interrupted(Exception):
    pass


def weights(network) -> list[np.ndarray]:
    return [connection.synapses.weights for layer in network.layers for connection in layer.connections]


def test_an_interrupted_training_goes_on(short, tmp_path):
    """Stopped after five epochs, it does seven more, and gives what it gives without a stop."""
    dataset, path = load_dataset("digits"), tmp_path / "work" / "checkpoint.pt"
    done: list[int] = []

    def stop(epochs: int) -> None:
        done.append(epochs)
        if len(done) == 5:
            raise _Interrupted

    with pytest.raises(_Interrupted):
        train_float(dataset, short, "a", stop, path)
    done.clear()
    resumed = train_float(dataset, short, "a", done.append, path)
    assert done == [5, *7 * [1]]
    at_once = train_float(dataset, short, "a")
    for one, other in zip(weights(resumed), weights(at_once), strict=True):
        np.testing.assert_array_equal(one, other)
    # what is converted otherwise is the same training; what is trained otherwise is not
    done.clear()
    train_float(dataset, dataclasses.replace(short, conversion=Conversion(timesteps=3)), "a", done.append, path)
    assert done == [12]
    done.clear()
    train_float(dataset, dataclasses.replace(short, seed=1, epochs=2), "a", done.append, path)
    assert done == [1, 1]


def test_damaged_checkpoint(short, tmp_path):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"half a checkpoint")
    text = rf"^checkpoint {re.escape(str(path))}: it cannot be read \((.|\n)+\): remove it to train anew$"
    with pytest.raises(HillockError, match=text):
        train_float(load_dataset("digits"), short, "a", checkpoint=path)


def test_test_images_do_not_take_part(short):
    dataset = load_dataset("digits")
    blind = dataclasses.replace(dataset, test_images=np.zeros_like(dataset.test_images))
    recipe = dataclasses.replace(short, epochs=1)
    for one, other in zip(
        weights(train_float(dataset, recipe, "a")), weights(train_float(blind, recipe, "b")), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_shifted_images(short):
    """A shift must move whole images: with a shift, a network still learns; with scrambled ones it would not."""
    recipe = dataclasses.replace(short, shift=1)
    dataset = load_dataset("digits")
    trained = train_float(dataset, recipe, "shifted")
    assert (trained.decisions(dataset.test_images) == dataset.test_labels).mean() >= 0.8


def test_each_training_image_is_shifted_and_flipped_on_its_own(short):
    """Of colour images: each becomes one of the 18 that it may become, with its colours where they were."""
    import torch

    from hillock.gen.torch_models import ReluNetwork

    rng = np.random.default_rng(1)
    images, labels = rng.integers(1, 256, (200, 60), np.uint8), np.zeros(200, np.int64)
    dataset = Dataset("colours", images, labels, images, labels, (4, 5), 3)
    recipe = dataclasses.replace(short, dataset="colours", shift=1, flip=True)
    training = _Training(ReluNetwork(recipe, Shape(3, 4, 5)), dataset, recipe)
    moved = training._moved(torch.arange(199, -1, -1))
    assert (moved.shape, moved.dtype) == ((200, 3, 4, 5), torch.float32)
    found = set()
    for image, given in zip(images[::-1].reshape(-1, 4, 5, 3), moved.permute(0, 2, 3, 1).numpy(), strict=True):
        padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
        ways = [
            (down, right, turn)
            for down, right, turn in itertools.product(range(3), range(3), (1, -1))
            if np.allclose(given, padded[down : down + 4, right : right + 5][:, ::turn] / 255)
        ]
        assert len(ways) == 1
        found |= set(ways)
    assert len(found) == 18


def test_training_in_16_bits(short):
    """It learns, gives other values than training in 32 bits, and is the same each time."""
    dataset, brief = load_dataset("digits"), dataclasses.replace(short, brief=True)
    first, again = (train_float(dataset, brief, "brief") for _ in range(2))
    assert (first.decisions(dataset.test_images) == dataset.test_labels).mean() >= 0.9
    for one, other, full in zip(
        weights(first), weights(again), weights(train_float(dataset, short, "full")), strict=True
    ):
        np.testing.assert_array_equal(one, other)
        assert not np.array_equal(one, full)


def test_some_of_the_test_images(short, monkeypatch, tmp_path):
    """The integer network is measured with the first of them, the float one with these and all; the record says so."""
    dataset = dataclasses.replace(load_dataset("digits"), remark="told")
    monkeypatch.setitem(RECIPES, "digits", dataclasses.replace(short, epochs=1, test_images=40))
    monkeypatch.setattr(train, "load_dataset", lambda name: dataset)
    model = train.train_model("digits", tmp_path, work=tmp_path / "work", progress=False)
    told = model.record
    assert told["data"] == {"name": "digits", "digest": dataset.digest, "test_images": 40, "remark": "told"}
    decisions = run_batch(model.network, dataset.test_images[:40].astype(np.int64)).decisions
    assert told["integer"]["correct"] == (decisions == dataset.test_labels[:40]).sum()
    assert told["integer"]["accuracy"] == told["integer"]["correct"] / 40
    right = model.float_network.decisions(dataset.test_images) == dataset.test_labels
    assert told["float"] == {
        "correct": right.sum(),
        "accuracy": round(right.mean(), 6),
        "accuracy_on_the_same_images": right[:40].mean(),
    }


def test_values_of_16_bits(short):
    recipe = dataclasses.replace(short, epochs=1)
    for half, single in zip(
        weights(train_float(load_dataset("digits"), dataclasses.replace(recipe, half=True), "a")),
        weights(train_float(load_dataset("digits"), recipe, "a")),
        strict=True,
    ):
        np.testing.assert_array_equal(half, single.astype(np.float16))
        assert not np.array_equal(half, single)


def test_unknown_model():
    with pytest.raises(HillockError, match=rf"^model: it must be one of {', '.join(RECIPES)}, not 'cats'$"):
        train.train_model("cats")


def test_torch_is_missing(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    text = r"^training: it needs torch, which is not installed: pip install 'hillock\[train\]'$"
    with pytest.raises(HillockError, match=text):
        train.train_model("digits", tmp_path, work=tmp_path, progress=False)
    assert list(tmp_path.iterdir()) == []
