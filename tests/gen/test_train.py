"""Training works, and the networks that come with the project are what their `model.json` says."""

import dataclasses
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from hillock.gen import train
from hillock.gen.convert import normalise
from hillock.gen.datasets import DATA_VARIABLE, load_dataset
from hillock.gen.float_network import FloatNetwork
from hillock.gen.quantize import quantize
from hillock.hw.problems import HillockError
from hillock.sim import network_file
from hillock.sim.batch import run_batch

MODELS = Path(__file__).parents[2] / "models"


def record(name: str):
    return json.loads((MODELS / name / "model.json").read_text())


def remeasure(name: str) -> None:
    """Evaluate a committed network: the same images must be right, at every timestep."""
    dataset, told = load_dataset(name), record(name)
    result = run_batch(network_file.load(MODELS / name / "network.hlk"), dataset.test_images.astype(np.int64))
    images = len(dataset.test_labels)
    assert told["data"] == {"name": name, "digest": dataset.digest, "test_images": images}
    assert (result.decisions == dataset.test_labels).sum() == told["integer"]["correct"]
    right = (result.decisions_at == dataset.test_labels[:, None]).sum(axis=0)
    assert [round(int(number) / images, 6) for number in right] == told["integer"]["accuracy_by_timestep"]
    assert round(result.sop.sum() / images, 1) == told["integer"]["sop_per_image"]


@pytest.mark.parametrize("name", train.RECIPES)
def test_committed_network_is_the_recorded_one(name):
    told, recipe = record(name), train.RECIPES[name]
    network = network_file.load(MODELS / name / "network.hlk")
    assert told["command"] == f"python -m hillock.gen train {name}"
    assert told["recipe"] == dataclasses.asdict(recipe)
    assert told["integer"]["digest"] == network.digest()
    assert [layer.name for layer in network.layers] == ["encoder", "hidden", "output"]
    assert (network.weight_bits, network.potential_bits) == (recipe.weight_bits, recipe.potential_bits)
    assert (network.fraction_bits, network.timesteps) == (recipe.fraction_bits, recipe.timesteps)


@pytest.mark.parametrize(("name", "least"), [("digits", 0.97), ("mnist", 0.975)])
def test_committed_network_is_good_enough(name, least):
    told = record(name)
    assert told["integer"]["accuracy"] >= least
    assert told["integer"]["accuracy"] >= told["float"]["accuracy"] - 0.005


def test_committed_digits_score_as_recorded():
    remeasure("digits")
    dataset = load_dataset("digits")
    trained = FloatNetwork.load(MODELS / "digits" / "float.npz", "digits")
    assert (trained.decisions(dataset.test_images) == dataset.test_labels).sum() == record("digits")["float"]["correct"]


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get(DATA_VARIABLE), reason=f"MNIST is read from {DATA_VARIABLE} in tests")
def test_committed_mnist_scores_as_recorded():
    remeasure("mnist")


def test_committed_digits_come_from_the_committed_float_network():
    recipe = train.RECIPES["digits"]
    trained = FloatNetwork.load(MODELS / "digits" / "float.npz", "digits")
    spiking = normalise(trained, load_dataset("digits").train_images, recipe.percentile)
    network, report = quantize(
        spiking,
        weight_bits=recipe.weight_bits,
        potential_bits=recipe.potential_bits,
        fraction_bits=recipe.fraction_bits,
        timesteps=recipe.timesteps,
        preload=recipe.preload,
    )
    assert network.digest() == record("digits")["integer"]["digest"]
    told = record("digits")["quantization"]["layers"]
    assert [layer.bounds.bits for layer in report.layers] == [
        max(int(x).bit_length() for x in (-layer["bounds"]["low"] - 1, layer["bounds"]["high"])) + 1 for layer in told
    ]


@pytest.fixture
def short(monkeypatch) -> train.Recipe:
    """The recipe of the digits, of which only a few epochs are left."""
    pytest.importorskip("torch")
    recipe = dataclasses.replace(train.RECIPES["digits"], epochs=12)
    monkeypatch.setitem(train.RECIPES, "digits", recipe)
    return recipe


def test_short_training(short, tmp_path):
    """A twenty-fifth of the epochs gives 95 %; what is returned is what is written."""
    model = train.train_model("digits", tmp_path, progress=False)
    folder = tmp_path / "digits"
    assert sorted(path.name for path in folder.iterdir()) == ["float.npz", "model.json", "network.hlk"]
    assert json.loads((folder / "model.json").read_text()) == json.loads(json.dumps(model.record))
    assert network_file.load(folder / "network.hlk").digest() == model.network.digest()
    assert model.record["integer"]["digest"] == model.network.digest()
    assert model.record["command"] == "python -m hillock.gen train digits"
    assert model.record["integer"]["accuracy"] >= 0.95
    assert model.record["float"]["accuracy"] >= 0.95


def test_training_depends_on_nothing_but_the_seed(short, tmp_path, capsys):
    import torch

    torch.manual_seed(1)
    train.train_model("digits", tmp_path / "a", seed=3, progress=False)
    torch.manual_seed(2)
    before = torch.get_rng_state(), torch.get_num_threads()
    train.train_model("digits", tmp_path / "b", seed=3, progress=True)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]
    for path in (tmp_path / "a" / "digits").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / "digits" / path.name).read_bytes()
    told = json.loads((tmp_path / "a" / "digits" / "model.json").read_text())
    assert (told["command"], told["recipe"]["seed"]) == ("python -m hillock.gen train digits --seed 3", 3)


def test_test_images_do_not_take_part(short):
    dataset = load_dataset("digits")
    blind = dataclasses.replace(dataset, test_images=np.zeros_like(dataset.test_images))
    recipe = dataclasses.replace(short, epochs=1)
    for layer, other in zip(
        train.train_float(dataset, recipe, "a").layers, train.train_float(blind, recipe, "b").layers, strict=True
    ):
        np.testing.assert_array_equal(layer.weights, other.weights)


def test_shifted_images(short):
    """A shift must move whole images: with a shift, a network still learns; with scrambled ones it would not."""
    recipe = dataclasses.replace(short, shift=1)
    dataset = load_dataset("digits")
    trained = train.train_float(dataset, recipe, "shifted")
    assert (trained.decisions(dataset.test_images) == dataset.test_labels).mean() >= 0.8


def test_unknown_model():
    with pytest.raises(HillockError, match=r"^model: it must be one of digits, mnist, not 'cats'$"):
        train.train_model("cats")


def test_torch_is_missing(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    text = r"^training: it needs torch, which is not installed: pip install 'hillock\[train\]'$"
    with pytest.raises(HillockError, match=text):
        train.train_model("digits", tmp_path, progress=False)
    assert list(tmp_path.iterdir()) == []
