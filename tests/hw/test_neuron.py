"""The neuron against the integer contract, written down once more: exhaustively at 4 bits, each corner at 16 and 32.

The Verilog of one neuron of each width is compiled, `bench_neuron.cpp` evaluates it, and every result is compared.
"""

import functools
import itertools
import subprocess
from array import array
from pathlib import Path
from typing import NamedTuple

import pytest
from amaranth.back import verilog
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from hillock.hw.config import CoreConfig
from hillock.hw.formats import Operation, neuron_layout
from hillock.hw.neuron import NeuronUpdate
from hillock.sim.tool import find_verilator

CONFIGS = {
    4: CoreConfig(potential_bits=4, weight_bits=4, fraction_bits=0, current_bits=4, leak_shift_bits=2, static_input=1),
    16: CoreConfig(potential_bits=16, leak_shift_bits=4),
    32: CoreConfig(potential_bits=32, current_bits=32, leak_shift_bits=5, static_input=1),
}
ALL_4_BIT = range(-8, 8)
KINDS = (Operation.INTEGRATE, Operation.FIRE, Operation.PRELOAD)
MOVES = (Operation.LOAD, Operation.LATCH)
"""Only with static input."""


class Neuron(NamedTuple):
    """The parameters of a layer, as the contract names them."""

    threshold: int
    preload: int
    reset_amount: int
    leak_shift: int
    reset_to_value: bool
    reset_always: bool
    leak_first: bool
    fires: bool


def ends(bits):
    return -(1 << bits - 1), (1 << bits - 1) - 1


def sat(value, bits):
    low, high = ends(bits)
    return low if value < low else high if value > high else value


def integrate(potential, operand, bits):
    return sat(potential + operand, bits)


def fire(potential, current, neuron, bits):
    """(spike, potential after it): current, fire, settle."""
    v = sat(potential + current, bits)
    s = neuron.fires and v >= neuron.threshold

    def reset(v):
        if neuron.reset_to_value:
            return neuron.reset_amount if s or neuron.reset_always else v
        return sat(v - neuron.reset_amount, bits) if s else v

    def leak(v):
        return v - (v >> neuron.leak_shift) if neuron.leak_shift else v

    return s, reset(leak(v)) if neuron.leak_first else leak(reset(v))


@functools.cache
def fire_words(neuron, pairs, bits):
    """The words that the bench writes for FIRE, one for each pair."""
    mask = (1 << bits) - 1
    return pack([int(s) << bits | v & mask for s, v in (fire(v, c, neuron, bits) for v, c in pairs)], bits)


@functools.cache
def integrate_words(pairs, bits):
    return pack([integrate(v, w, bits) & (1 << bits) - 1 for v, w in pairs], bits)


def expected_words(kind, neuron, pairs, bits):
    if kind in (Operation.INTEGRATE, *MOVES):  # a move has a potential or an operand of 0
        return integrate_words(pairs, bits)
    if kind is Operation.FIRE:  # V0 plays no part in it, and need not be told apart
        return fire_words(neuron._replace(preload=0), pairs, bits)
    return pack([neuron.preload & (1 << bits) - 1], bits) * len(pairs)


def pack(words, bits):
    return array("B" if bits == 4 else "Q", words).tobytes()


class Neurons(wiring.Component):  # type: ignore[misc]
    """One neuron of each width, each with its own ports."""

    def __init__(self):
        self._units = {f"bits{bits}": NeuronUpdate(config) for bits, config in CONFIGS.items()}
        super().__init__({name: Out(unit.signature) for name, unit in self._units.items()})

    def elaborate(self, platform):
        m = Module()
        for name, unit in self._units.items():
            m.submodules[name] = unit
            wiring.connect(m, wiring.flipped(getattr(self, name)), unit)
        return m


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The neurons, compiled."""
    folder, tool = tmp_path_factory.mktemp("neurons"), find_verilator()
    (folder / "neurons.v").write_text(verilog.convert(Neurons(), name="neurons", emit_src=False))
    bench = Path(__file__).with_name("bench_neuron.cpp")
    options = ["--cc", "--exe", "--build", "-j", "2", "-O3", "-Wno-lint", "--top-module", "neurons", "-o", "bench"]
    flags = ["-CFLAGS", "-std=c++17", "-MAKEFLAGS", "OPT_FAST=-O2 OPT_SLOW=-O0 OPT_GLOBAL=-O0", *tool.arguments]
    command = ["verilator", *options, *flags, "neurons.v", str(bench)]
    done = subprocess.run(command, cwd=folder, env=tool.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "obj_dir" / "bench"


def compare(program, bits, settings, pairs):
    """Evaluate every pair under every (kind, neuron) of `settings`; returns how many results were compared."""
    fields = [
        (field.offset, (1 << field.width) - 1)
        for field in map(neuron_layout(CONFIGS[bits]).__getitem__, Neuron._fields)
    ]
    words = array("I")
    for kind, neuron in settings:
        raw = sum((value & mask) << offset for value, (offset, mask) in zip(neuron, fields, strict=True))
        words.extend((kind.value, *(raw >> shift & 0xFFFFFFFF for shift in (0, 32, 64, 96))))
    folder = program.parent
    (folder / "settings").write_bytes(words.tobytes())
    (folder / "pairs").write_bytes(array("I", [value & 0xFFFFFFFF for pair in pairs for value in pair]).tobytes())
    subprocess.run([program, str(bits), "settings", "pairs", "results"], cwd=folder, check=True)

    results = (folder / "results").read_bytes()
    expected = b"".join(expected_words(kind, neuron, pairs, bits) for kind, neuron in settings)
    if results != expected:
        word = len(pack([0], bits))
        assert len(results) == len(expected)
        at = next(n for n in range(0, len(results), word) if results[n : n + word] != expected[n : n + word])
        (kind, neuron), pair = settings[at // word // len(pairs)], pairs[at // word % len(pairs)]
        wanted, got = (int.from_bytes(x[at : at + word], "little") for x in (expected, results))
        raise AssertionError(f"{kind.name} {neuron} potential, operand {pair}: expected {wanted:#x}, got {got:#x}")
    return len(settings) * len(pairs)


def resets(subtracted, values):
    """(R, whether it is a value, whether every timestep resets): subtracted it is never negative."""
    return [
        *((amount, False, False) for amount in subtracted),
        *((amount, True, always) for amount in values for always in (False, True)),
    ]


def test_every_input_of_a_4_bit_neuron(program):
    kinds = (*KINDS, *MOVES)
    amounts = resets(range(8), ALL_4_BIT)
    settings = [
        (kind, Neuron(theta, v0, amount, k, to_value, always, leak_first, fires))
        for kind, theta, (amount, to_value, always), k, leak_first, fires, v0 in itertools.product(
            kinds, range(8), amounts, range(4), (False, True), (False, True), ALL_4_BIT
        )
    ]
    pairs = tuple(itertools.product(ALL_4_BIT, repeat=2))
    kinds_thresholds_resets_shifts_flags_preloads = 5 * 8 * (8 + 2 * 16) * 4 * 4 * 16
    compared = compare(program, 4, settings, pairs)
    assert compared == kinds_thresholds_resets_shifts_flags_preloads * 16 * 16 == 104_857_600


@pytest.mark.parametrize(("bits", "shifts"), [(16, range(16)), (32, (0, 1, 2, 3, 15, 16, 29, 30, 31))])
def test_every_corner_at_full_width(program, bits, shifts):
    low, high = ends(bits)
    fixed = {low, low + 1, -1, 0, 1, high - 1, high}
    compared = 0
    for theta in (0, 1, 2, 255 << 4, high // 2, high - 1, high):
        corners = sorted(fixed | {value for value in (theta - 1, theta, theta + 1) if value <= high})
        amounts = resets([value for value in corners if value >= 0], corners)
        settings = [
            (kind, Neuron(theta, v0, amount, k, to_value, always, leak_first, fires))
            for (amount, to_value, always), k, leak_first, fires in itertools.product(
                amounts, shifts, (False, True), (False, True)
            )
            for kind, preloads in (
                (Operation.INTEGRATE, (low,)),
                (Operation.FIRE, (low, high)),
                (Operation.PRELOAD, corners),
                *((kind, (low,)) for kind in MOVES if CONFIGS[bits].static_input),
            )
            for v0 in preloads
        ]
        compared += compare(program, bits, settings, tuple(itertools.product(corners, repeat=2)))
    assert compared == {16: 9_007_104, 32: 5_915_808}[bits]


@pytest.mark.parametrize("bits", [4, 5, 6])
def test_subtraction_never_leaves_the_range(bits):
    """Why the gateware needs no saturating subtractor: sat(V - R) is V - R wherever a neuron subtracts."""
    low, high = ends(bits)
    tried = 0
    for v, amount, k in itertools.product(range(high + 1), range(high + 1), range(bits)):
        for left in (v, v - (v >> k) if k else v):  # V >= theta >= 0, before or after the leak
            assert low <= left - amount <= high
            tried += 1
    assert tried == 2 * bits << 2 * (bits - 1)
    assert not low <= high - -1 <= high  # a negative R would leave it
