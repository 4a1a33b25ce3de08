"""The predictor of resources, held against syntheses that were recorded (Yosys and nextpnr, LFE5U-85F)."""

import json
from pathlib import Path
from typing import Any

import pytest

from hillock.gen.resources import Resources, predict
from hillock.hw.config import CoreConfig

ROWS: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "data" / "resources.json").read_text())


@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_a_prediction_is_within_ten_per_cent_of_the_synthesis(row: dict[str, Any]) -> None:
    predicted = predict(CoreConfig(**row["config"]))
    assert (predicted.bram, predicted.dsp) == (row["bram"], row["dsp"])
    assert predicted.lut == pytest.approx(row["lut"], rel=0.10)
    assert predicted.ff == pytest.approx(row["ff"], rel=0.10)


def test_resources_add_up() -> None:
    assert Resources(1, 2, 3, 4) + Resources(10, 20, 30, 40) == Resources(11, 22, 33, 44)


def test_more_lanes_take_more() -> None:
    few, many = (predict(CoreConfig(lanes=lanes)) for lanes in (8, 32))
    assert few.lut < many.lut
    assert few.ff < many.ff
