"""The tables in the terminal."""

import io

from rich.console import Console
from rich.table import Table

from hillock.gen.tables import compared, layer_table, summary_table, verdict
from small_simulation import small_network, small_simulation


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
    assert f"accuracy after {result.network.timesteps} timesteps {20 * result.correct_at[-1]:.2f} %" in lines
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


def test_layers():
    result = small_simulation(small_network(6, name="[red]last[/red]"))
    lines = shown(layer_table(result))
    assert any(line.startswith("[red]last[/red] ") for line in lines)
    for layer in result.layers:
        row = f"{layer.name} {layer.neurons} {layer.busy_cycles / 5:,.1f} {layer.sop / 5:,.1f} {layer.spikes / 5:,.1f}"
        assert any(line.startswith(row) for line in lines)
    busy = sum(layer.busy_cycles for layer in result.layers)
    assert f"between layers {(sum(result.cycles) - busy) / 5:,.1f}" in lines
    assert f"{100 * result.summary()['lane_utilization']:.1f}" in lines[-2]
