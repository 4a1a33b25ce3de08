"""The command `convert`: a torch model and its weights to a folder that `sim` takes, and what is said of wrong ones."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from hillock.gen import cli
from hillock.gen.conversion import ConvertedModel, Settings, convert_module
from hillock.gen.convert_command import load_module
from hillock.gen.datasets import Dataset, load_dataset
from hillock.gen.float_file import load_float
from hillock.gen.models import load_model
from hillock.hw.problems import HillockError
from hillock.sim.batch import run_batch
from hillock.sim.bounds import may_saturate
from hillock.sim.network import Decision, Shape

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

SOURCE = """
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(2))
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(64, 10))

    def forward(self, x):
        return self.head(self.features(x))


made = Net()
low = Net()
nn.init.constant_(low.head[2].bias, -9.0)
number = 3


def broken():
    raise ValueError("no such size")
"""


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(SOURCE)
    return path


def network(channels: int = 1, classes: int = 3) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        conv = nn.Conv2d(channels, 4, 3, padding=1)
        return nn.Sequential(conv, nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, classes)).eval()


def noise(pixels: int = 16, classes: int = 3) -> Dataset:
    generator = np.random.default_rng(3)
    images = generator.integers(0, 256, (2, 40, pixels), np.uint8)
    labels = generator.permutation(np.arange(80) % classes).reshape(2, 40)
    return Dataset("noise", images[0], labels[0], images[1], labels[1], (4, pixels // 4))


@pytest.mark.parametrize("method", ["percentile", "balance"])
def test_rates_are_the_activations_of_the_module(method):
    """From torch to integers: after 255 timesteps a rate is the activation, as far as no rate is clipped."""
    data, module = noise(), network()
    settings = Settings(
        input_shape=(1, 4, 4), mean=(0.4,), std=(0.3,), method=method, timesteps=255, weight_bits=12, fraction_bits=2,
        percentile=100 if method == "percentile" else None,
    )  # fmt: skip
    result = convert_module(module, data, settings, "net")
    assert not any(may_saturate(result.network))
    values = torch.tensor((data.train_images.reshape(-1, 1, 4, 4) / 255 - 0.4) / 0.3, dtype=torch.float32)
    with torch.no_grad():
        wanted = module(values).numpy()
    scale = result.report.layers[-1].activation
    rates = run_batch(result.network, data.train_images.astype(np.int64)).counts / 255 * scale
    np.testing.assert_allclose(rates, np.maximum(wanted, 0), atol=0.05 * scale)
    assert wanted.max() > 0.2 * scale


def test_accuracy_before_and_after():
    data = noise()
    result = convert_module(network(), data, Settings(input_shape=(1, 4, 4)), "net", test_images=30)
    told = result.report.accuracy
    assert told is not None
    images, labels = data.test_images[:30], data.test_labels[:30]
    ran = run_batch(result.network, images.astype(np.int64))
    assert told.images == 30
    assert told.before == round((result.float_network.decisions(images) == labels).mean(), 6)
    assert told.after == told.by_timestep[-1] == round((ran.decisions == labels).mean(), 6)
    assert len(told.by_timestep) == 25


def test_a_grid_decides_nothing():
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    result = convert_module(module, noise(), Settings(input_shape=(1, 4, 4), percentile=99), "net")
    assert (result.network.decision, result.report.accuracy) == (Decision.NONE, None)
    assert result.network.layers[-1].shape == Shape(2, 2, 2)


@pytest.mark.parametrize(
    ("module", "settings", "text"),
    [
        (network(classes=4), {}, "its outputs must be as many as the classes of noise, 3, not 4"),
        (
            network(),
            {"method": "balance", "percentile": 99.0},
            "percentile must not be given where thresholds are balanced, and is 99.0",
        ),
        (
            network(2),
            {"input_shape": (2, 4, 4)},
            "input_shape must be that of noise, (1, 4, 4), or its 16 values, not (2, 4, 4)",
        ),
    ],
)  # fmt: skip
def test_what_does_not_go_together(module, settings, text):
    with pytest.raises(HillockError, match=f"^conversion of 'net': {re.escape(text)}$"):
        convert_module(module, noise(), Settings(**{"input_shape": (1, 4, 4)} | settings), "net")


# The command


@pytest.fixture
def run(monkeypatch, capsys):
    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hillock", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        captured = capsys.readouterr()
        assert isinstance(caught.value.code, int | None)
        return caught.value.code or 0, captured.out, captured.err

    return call


def test_the_command(run, model, tmp_path):
    """The folder is a model: it loads, says where it comes from, and its network comes from its float network."""
    made = load_module(f"{model}:Net")
    torch.save(made.state_dict(), tmp_path / "weights.pt")
    out = tmp_path / "small"
    arguments = [f"{model}:Net", "--weights", tmp_path / "weights.pt", "--calibrate", "digits"]
    arguments += ["--input-shape", "1,8,8", "--mean", "0.3", "--std", "0.4", "--images", 50, "--test-images", 20]
    code, printed, err = run("convert", *arguments, "--bits", 6, "--timesteps", 9, "--out", out, "--json")
    assert (code, err) == (0, "")
    loaded, told = load_model(str(out)), json.loads((out / "model.json").read_text())
    assert (loaded.network.name, loaded.network.weight_bits, loaded.network.timesteps) == ("small", 6, 9)
    assert [layer.name for layer in loaded.network.layers] == ["encoder", "features.0", "head.2"]
    assert json.loads(printed) == told["quantization"]
    assert (loaded.float_accuracy, loaded.integer_accuracy) == (told["float"]["accuracy"], told["integer"]["accuracy"])
    assert told["source"] == {"model": f"{model}:Net", "weights": "weights.pt"}
    assert told["data"] == {"name": "digits", "digest": load_dataset("digits").digest, "test_images": 20}
    assert told["integer"]["digest"] == loaded.network.digest()
    settings = told["settings"]
    assert (settings["mean"], settings["std"], settings["images"]) == ([0.3], [0.4], 50)
    again = remade(out, Settings(**{name: _tuple(value) for name, value in settings.items()}))
    assert again == loaded.network.digest()


def _tuple(value):
    return tuple(value) if isinstance(value, list) else value


def remade(folder: Path, settings: Settings) -> str:
    """The digest of what is made of the float network in a folder."""
    from hillock.gen.convert import DEFAULT_PERCENTILE, normalise
    from hillock.gen.quantize import quantize

    spiking = normalise(
        load_float(folder / "float.npz"), load_dataset("digits").train_images[: settings.images], DEFAULT_PERCENTILE
    )
    network, _ = quantize(
        spiking,
        weight_bits=settings.weight_bits,
        potential_bits=settings.potential_bits,
        fraction_bits=settings.fraction_bits,
        timesteps=settings.timesteps,
        preload=settings.preload,
    )
    return network.digest()


def test_the_command_prints_a_table(run, model, tmp_path):
    code, printed, err = run(
        "convert", f"{model}:made", "--calibrate", "digits", "--input-shape", "1,8,8", "--method", "balance",
        "--images", 5, "--timesteps", 5, "--name", "net", "--out", tmp_path / "out",
    )  # fmt: skip
    assert code == 0
    assert "net: 8-bit weights" in printed
    assert "accuracy on 445 images: " in printed
    assert f"written: {tmp_path / 'out'}" in printed
    assert "445/445" in err


def test_the_command_says_what_it_raised(run, model, tmp_path):
    arguments = ["--calibrate", "digits", "--input-shape", "1,8,8", "--images", 20, "--test-images", 5]
    code, printed, _ = run("convert", f"{model}:low", *arguments, "--out", tmp_path / "out")
    assert code == 0
    lift = json.loads((tmp_path / "out" / "model.json").read_text())["lift"]
    assert lift > 1
    text = f"outputs raised by {lift:.3g}, all alike, since no rate is below 0: decisions are the same"
    assert text in printed


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["Net"], "model 'Net': it must be package.module:NAME or file.py:NAME"),
        (["{0}:number"], "model '{0}:number': it cannot be made (TypeError: 'int' object is not callable)"),
        (["{0}:broken"], "model '{0}:broken': it cannot be made (ValueError: no such size)"),
        (["{0}:Other"], "model '{0}:Other': it cannot be made (AttributeError: module 'net' has no attribute 'Other')"),
        (["builtins:dict"], "model 'builtins:dict': it must be a torch.nn.Module or give one, not a dict"),
        (["{0}:Net", "--mean", "a,b"], "--mean: it must be numbers with commas between them, not 'a,b'"),
        (
            ["{0}:Net", "--input-shape", "1,8.5,8"],
            "--input-shape: it must be integers with commas between them, not '1,8.5,8'",
        ),
        (["{0}:Net", "--calibrate", "none"], "dataset: it must be one of "),
    ],
)
def test_wrong_arguments(run, model, arguments, text):
    given = [part.format(model) for part in arguments]
    code, out, err = run("convert", *["--input-shape", "1,8,8", "--calibrate", "digits", "--json"], *given)
    assert (code, out) == (2, "")
    assert err.startswith(f"hillock: {text.format(model)}")


def test_weights_that_do_not_fit(run, model, tmp_path):
    """Nothing in the file is executed, and every kind of wrong content is one message."""
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "other.pt")
    torch.save({"code": ConvertedModel}, tmp_path / "pickle.pt")
    (tmp_path / "text.pt").write_text("no weights")
    for name, reason in (("other", "RuntimeError: Error"), ("pickle", "UnpicklingError: "), ("text", ""), ("no", "")):
        path = tmp_path / f"{name}.pt"
        with pytest.raises(HillockError) as caught:
            load_module(f"{model}:Net", path)
        assert str(caught.value).startswith(f"model '{model}:Net': the weights in {path} do not fit ({reason}")


def test_without_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    text = "convert: it needs torch, which is not installed: pip install 'hillock[train]'"
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        load_module("net.py:Net")
