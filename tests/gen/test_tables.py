"""The tables in the terminal."""

import io

import pytest
from rich.console import Console
from rich.table import Table

from hillock.gen.tables import compared, layer_table, summary_table, verdict
from hillock.gen.words import brief, fixed, of, percent, rough
from hillock.sim.network import Decision
from small_simulation import autoencoder, small_graph, small_network, small_simulation


def shown(table: Table) -> list[str]:
    """The lines of the table in a terminal of 80 columns; nothing in it may have been cut."""
    console = Console(file=io.StringIO(), width=80)
    console.print(table)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "…" not in text
    return [" ".join(line.replace("│", " ").split()) for line in text.splitlines()]


def test_summary():
    result = small_simulation(small_network(6))
    lines = shown(summary_table(result))
    assert lines[0] == verdict(result)
    assert lines[0].endswith("spikes compared, 0 mismatches")
    sop = sum(layer.sop for layer in result.layers)
    assert f"accuracy after {result.network.timesteps} timesteps {20 * result.score.total_at[-1]:.2f} %" in lines
    assert "accuracy of the float ANN, all 8 images 87.50 %" in lines
    assert f"cycles, mean {sum(result.cycles) / 5:,.1f} cycles per image" in lines
    assert f"synaptic operations {sop / 5:,.1f} SOP per image" in lines
    assert f"lane utilization, 4 lanes {25 * sop / sum(result.cycles):.1f} %" in lines
    assert "simulation speed 246,912 cycles per second" in lines
    assert f"membrane potentials compared {result.comparison.potentials_compared:,} all equal" in lines


def test_summary_of_a_difference():
    result = small_simulation(small_network(6), equal=False)
    text = " ".join(shown(summary_table(result)))
    assert "spikes compared, 1 mismatch " in text
    assert f"first difference: {result.comparison.first}" in text
    assert f"spikes compared {result.comparison.spikes_compared:,} 1 differ " in text


def test_summary_of_nothing():
    result = small_simulation(small_network(6))
    result.comparison = type(result.comparison)()
    text = " ".join(shown(summary_table(result)))
    assert "nothing is proved" in text
    assert "all equal" not in text


def test_compared_has_every_kind():
    result = small_simulation(small_network(6))
    found = result.comparison
    assert [kind.count for kind in compared(result)] == [
        found.spikes_compared, found.potentials_compared, found.cycles_compared, found.results_compared]  # fmt: skip


def test_summary_of_a_network_that_gives_back_an_image():
    network, float_network = autoencoder()
    result = small_simulation(network, images=8, float_network=float_network)
    lines = shown(summary_table(result))
    assert f"mean squared error after 20 timesteps {result.score.final:.4f} pixels from 0 to 1" in lines
    assert f"mean squared error of the float ANN {result.score.of_float:.4f} pixels from 0 to 1" in lines
    assert not any("accuracy" in line for line in lines)
    # Without the float network, there is nothing to compare with.
    lines = shown(summary_table(small_simulation(network)))
    assert sum("squared error" in line for line in lines) == 1


def test_summary_without_a_score():
    network = small_graph(0, lambda one: one.decision is Decision.NONE and one.layers[-1].neurons != one.inputs)
    lines = shown(summary_table(small_simulation(network)))
    assert lines[4].startswith("cycles, mean ")
    assert not any("accuracy" in line or "error" in line for line in lines)


@pytest.mark.parametrize("network", [small_network(6, name="[red]last[/red]"), small_graph(3), small_graph(8)])
def test_layers(network):
    result = small_simulation(network)
    lines = shown(layer_table(result))
    for layer in result.layers:
        layout = layer.layout
        row = (
            f"{layer.name} {layout.shape} {layout.columns}x{layout.channels} {layout.words} "
            f"{fixed(layer.busy_cycles / 5)} {fixed(layer.sop / 5)} {fixed(layer.spikes / 5)} "
            f"{100 * layer.sop / (4 * layer.busy_cycles):.1f}"
        )
        assert row in lines
    busy = sum(layer.busy_cycles for layer in result.layers)
    assert f"between {fixed((sum(result.cycles) - busy) / 5)}" in lines
    (whole,) = (line for line in lines if line.startswith("whole core"))
    assert whole.endswith(f" {100 * result.summary()['lane_utilization']:.1f}")


def test_numbers_stay_narrow():
    assert [brief(value) for value in (0, 999.94, 1000, 999_999, 1e6, 123_456_789)] == [
        "0.0", "999.9", "1,000", "999,999", "1.00 M", "123.46 M"]  # fmt: skip
    assert [rough(value) for value in (2.5, 1234, 2_345_678)] == ["2.5", "1.23 thousand", "2.35 million"]
    assert (of(1, "image"), of(2000, "match", "es")) == ("1 image", "2,000 matches")
    assert percent(0.98765, 2) == "98.77\N{NO-BREAK SPACE}%"
