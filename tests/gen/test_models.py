"""The trained networks by name and as a folder, and what is said of a model that is none."""

import json
import re
import shutil
from pathlib import Path

import pytest

from hillock.gen import models
from hillock.gen.models import MODELS, load_model
from hillock.hw.problems import HillockError
from hillock.sim.network import Decision

NAMES = sorted(path.parent.name for path in MODELS.glob("*/model.json"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """A folder of three models, all of them copies of the digits."""
    for name in ("digits", "mnist", "fashion"):
        shutil.copytree(MODELS / "digits", tmp_path / name)
    monkeypatch.setattr(models, "MODELS", tmp_path)
    return tmp_path


def refuses(name: str, text: str) -> None:
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        load_model(name)


def test_there_are_models():
    assert {"digits", "mnist", "net1-a", "net1-c", "digits-residual", "digits-autoencoder"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_of_the_project(name):
    model = load_model(name)
    about = json.loads((MODELS / name / "model.json").read_text())
    assert model.network.name == name
    assert model.folder == MODELS / name
    assert model.network.digest() == about["integer"]["digest"]
    assert model.network.timesteps == about["integer"]["timesteps"]
    assert model.dataset == about["data"]["name"]
    if model.network.decision is Decision.NONE:
        assert model.float_accuracy is model.integer_accuracy is None
        return
    assert model.float_accuracy == about["float"]["accuracy"]
    assert model.integer_accuracy == about["integer"]["accuracy"]
    assert model.integer_accuracy is not None
    assert 0.85 < model.integer_accuracy <= 1


def test_a_model_in_a_folder(tmp_path, monkeypatch):
    shutil.copytree(MODELS / "digits", tmp_path / "mine")
    wanted = load_model("digits").network.digest()
    assert load_model(str(tmp_path / "mine")).network.digest() == wanted
    about = {"data": {"name": "digits"}, "float": {"accuracy": 0.5}, "integer": {"accuracy": 0.25}}
    (tmp_path / "mine" / "model.json").write_text(json.dumps(about))
    mine = load_model(str(tmp_path / "mine"))
    assert mine.folder == tmp_path / "mine"
    assert (mine.dataset, mine.float_accuracy, mine.integer_accuracy) == ("digits", 0.5, 0.25)
    monkeypatch.chdir(tmp_path)
    assert load_model("mine").network.digest() == wanted


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("digit", "; did you mean 'digits'?"),
        ("minst", "; did you mean 'mnist'?"),
        ("Fashion", "; did you mean 'fashion'?"),
        ("cifar", ""),
        ("", ""),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_model_that_is_not_there(name, meant):
    refuses(name, f"model {name!r}: must be one of digits, fashion, mnist, or a folder with a model.json{meant}")


def test_a_folder_without_a_model(folder):
    (folder / "empty").mkdir()
    for name in (str(folder / "empty"), "empty"):
        refuses(name, f"model {name!r}: must be one of digits, fashion, mnist, or a folder with a model.json")


def test_a_folder_without_a_model_hides_none(folder, tmp_path, monkeypatch):
    (tmp_path / "here" / "digits").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    assert load_model("digits").folder == folder / "digits"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("{}", "KeyError: 'data'"),
        ('{"data": {"name": "digits"}, "float": {}}', "KeyError: 'integer'"),
        ('{"data": {"name": "digits"}, "float": {}, "integer": {}}', "KeyError: 'accuracy'"),
        ("[]", "TypeError: list indices must be integers or slices, not str"),
    ],
)
def test_a_damaged_description(folder, text, reason):
    path = folder / "digits" / "model.json"
    path.write_text(text)
    refuses("digits", f"{path}: it must be what `train` writes ({reason}): train the model again")


def test_a_model_without_its_network(folder):
    path = folder / "mnist" / "network.hlk"
    path.unlink()
    refuses("mnist", f"network file {path}: it cannot be read (No such file or directory)")
