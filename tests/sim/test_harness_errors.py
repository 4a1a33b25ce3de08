"""Every way in which the compiled program gives up, and what it leaves behind."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from compiled_cores import busy_placement, compiled, load
from hillock.gen.image import image_writes
from hillock.gen.mapping import place
from hillock.hw.problems import HillockError
from hillock.sim.harness import Harness, Stimulus


class Raw(Stimulus):
    """These very words."""

    def __init__(self, *words: int):
        super().__init__()
        self.words = words

    def to_array(self) -> np.ndarray:
        return np.array(self.words, np.uint32)


@pytest.fixture(scope="module")
def program() -> Harness:
    return compiled("dense")  # type: ignore[no-any-return]


def gives_up(program: Harness, stimulus: Stimulus, text: str, **options: Any) -> None:
    text = f"the compiled gateware stopped with status 2: harness: {text}"
    with pytest.raises(HillockError, match=f"^{re.escape(text)}$"):
        program.run(stimulus, **options)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((), "stimulus ends without END"),
        ((1, 0), "stimulus ends without END"),
        ((3, 1, 0, 0), "stimulus ends without END"),
        ((4, 1, 2, 0, 0), "stimulus ends within an inference"),
        ((5, 1, 4, 5, 1, 0), "stimulus ends without END"),
        ((6, 0), "unknown command in the stimulus"),
    ],
)
def test_a_stimulus_that_makes_no_sense(program, words, text):
    gives_up(program, Raw(*words), text)


def test_a_deadlock(program):
    """Events for two timesteps, where the core has been told of three."""
    placement, _, _ = busy_placement("dense")
    network = replace(placement.network, timesteps=3, delay=0)
    stimulus = Stimulus()
    load(stimulus, place(network, placement.config))
    stimulus.run_events([[(0, 1)], [(0, 1)]], network.input, placement.config)
    gives_up(program, stimulus, "nothing has left the gateware for too long: deadlock")


def test_an_image_where_the_core_expects_events(program):
    """It refuses to start."""
    placement, given, _ = busy_placement("dense", image=True)
    stimulus = Stimulus()
    stimulus.stream_images([image_writes(given["image"], placement)])
    gives_up(program, stimulus, "nothing has left the gateware for too long: deadlock")


def test_waves_of_a_program_without_them(program, tmp_path):
    gives_up(program, Stimulus(), "built without waves", waves=tmp_path / "waves.vcd")


def test_nothing_is_left_behind(program):
    before = sorted(program.program.parent.iterdir())
    program.run(Stimulus())
    with pytest.raises(HillockError):
        program.run(Raw())
    assert sorted(program.program.parent.iterdir()) == before
