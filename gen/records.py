"""What the records of a placed network say, by the fields of `hw/registers.py`, and the parameters back from them."""

from typing import Any

from hillock.hw.registers import CONNECTION_RECORD, LANE_ENTRY, LAYER_RECORD, TABLE_ENTRY, Record
from hillock.sim.network import Decision, Layer, LeakOrder, ResetMode

from .mapping import ConnectionPlace, LayerPlace, Placement

__all__ = ["layer_parameters", "network_parameters", "record_fields", "register_fields"]


def record_fields(placement: Placement) -> dict[str, tuple[Record, list[dict[str, int]]]]:
    """For each memory of records: what a record of it is made of, and the fields of every one."""
    network = placement.network
    layers = zip(network.layers, placement.layers, strict=True)
    walks = zip(network.walks(), placement.connections, strict=True)
    return {
        "layers": (
            LAYER_RECORD,
            [_layer(layer, where) | {"change": _change(layer, where, placement)} for layer, where in layers],
        ),
        "connections": (CONNECTION_RECORD, [_connection(where, connection.static) for (_, connection), where in walks]),
        **{name: (TABLE_ENTRY, [vars(entry) for entry in table]) for name, table in placement.tables.items()},
        "lanes": (LANE_ENTRY, [entry for where in placement.layers for entry in _lanes(where)]),
    }


def _layer(layer: Layer, where: LayerPlace) -> dict[str, int]:
    layout, shape = where.layout, layer.shape
    channels, columns = layout.channels, layout.columns
    # One column in a word: the last word of a place may have fewer channels. More: the last place may have fewer.
    end_lanes = shape.channels - (layout.channel_words - 1) * channels
    if columns > 1:
        end_lanes = (shape.width - (layout.column_words - 1) * columns) * channels
    return {
        "potential_base": where.potential_base,
        "current_base": where.current_base,
        "current_step": where.current_step,
        "channel_words": layout.channel_words,
        "column_words": layout.column_words,
        "rows": shape.height,
        "channels": channels,
        "columns": columns,
        "used_lanes": columns * channels,
        "end_lanes": end_lanes,
        "threshold": layer.threshold,
        "preload": layer.preload,
        "reset_amount": layer.reset_amount,
        "leak_shift": layer.leak_shift,
        "reset_to_value": layer.reset_mode is not ResetMode.SUBTRACT,
        "reset_always": layer.reset_mode is ResetMode.EVERY_TIMESTEP,
        "leak_first": layer.leak_order is LeakOrder.LEAK_THEN_RESET,
        "fires": layer.fires,
        "graded": layer.graded,
        "end_is_column": columns > 1,
        "is_output": where.is_output,
        "feeds_next": where.feeds_next,
        "is_kept": where.is_kept,
        "connections": len(layer.connections),
        "replay_base": where.replay_base or 0,
        "load_base": where.load_base or 0,
    }


def _change(layer: Layer, where: LayerPlace, placement: Placement) -> int:
    """Cycles from the end of a pass to what comes next (`docs/cycles.md`): more if that may be the same words again."""
    config = placement.config
    if len(placement.layers) > 1:
        return 3
    if config.one_word:
        return 2 if layer.leak_shift == 0 and config.max_connections == 1 else 3
    return max(3, 6 - where.layout.words)


def _connection(where: ConnectionPlace, static: bool) -> dict[str, int]:
    walk = where.walk
    return {
        "synapse_base": where.synapse_base,
        "words": walk.words,
        "from_input": where.source is None,
        "from_replay": where.replay_base is not None,
        "is_static": static,
        "by_channel": walk.channels is not None,
        "row_base": where.row_base,
        "column_base": where.column_base,
        "channel_base": where.channel_base,
        "replay_base": where.replay_base or 0,
        "source_layer": where.source or 0,
        "column_step": walk.column_step,
        "row_step": walk.row_step,
        "synapse_step": walk.synapse_step,
        "synapse_column_step": walk.synapse_column_step,
        "synapse_row_step": walk.synapse_row_step,
    }


def _lanes(where: LayerPlace) -> list[dict[str, int]]:
    """Channel and column of every lane; 0 for lanes that are never a neuron."""
    layout = where.layout
    used = layout.channels * layout.columns
    places = [divmod(lane, layout.channels) for lane in range(used)]
    unused = (1 << max(1, (layout.lanes - 1).bit_length())) - used
    return [{"column": column, "channel": channel} for column, channel in places + [(0, 0)] * unused]


def layer_parameters(record: dict[str, int]) -> dict[str, Any]:
    """The parameters of a layer that its record holds: fields of `Layer`."""
    reset_mode = ResetMode.TO_VALUE if record["reset_to_value"] else ResetMode.SUBTRACT
    return {
        "threshold": record["threshold"],
        "preload": record["preload"],
        "reset_amount": record["reset_amount"],
        "leak_shift": record["leak_shift"],
        "reset_mode": ResetMode.EVERY_TIMESTEP if record["reset_always"] else reset_mode,
        "leak_order": LeakOrder.LEAK_THEN_RESET if record["leak_first"] else LeakOrder.RESET_THEN_LEAK,
        "fires": bool(record["fires"]),
        "graded": bool(record["graded"]),
    }


def register_fields(placement: Placement) -> dict[str, int]:
    """The fields of all registers that an image sets."""
    network = placement.network
    last, decision = network.layers[-1], network.decision
    return {
        "layers": len(network.layers),
        "image": network.image_input,
        "is_static": network.static_input,
        "input_channels": network.input.channels,
        "columns": network.input.width,
        "rows": network.input.height,
        "timesteps": network.timesteps,
        "delay": network.delay,
        "by_potential": decision is Decision.POTENTIAL,
        "none": decision is Decision.NONE,
        "outputs": 0 if decision is Decision.NONE else last.neurons,
        "image_words": placement.layers[0].layout.words if placement.has_two_images else 0,
    }


def network_parameters(registers: dict[str, int]) -> dict[str, Any]:
    """The parameters of a network that its registers hold: fields of `Network`."""
    decision = Decision.POTENTIAL if registers["by_potential"] else Decision.COUNT
    return {
        "timesteps": registers["timesteps"],
        "delay": registers["delay"],
        "decision": Decision.NONE if registers["none"] else decision,
    }
