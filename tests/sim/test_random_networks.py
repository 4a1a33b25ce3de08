"""The random networks of the regressions have every feature of the contract, and their layers fire."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from hillock.sim import golden
from hillock.sim.bounds import may_saturate
from hillock.sim.network import INPUT, Decision, Dense, LeakOrder, Network, ResetMode
from random_networks import random_graph, random_input, random_network

NETWORKS = 300


def survey(seed: int, draw: Callable[[np.random.Generator], Network]) -> Counter:
    """How many of the networks, layers or connections drawn have which feature."""
    seen: Counter = Counter()
    for n in range(NETWORKS):
        rng = np.random.default_rng([seed, n])
        net = draw(rng)
        trace = golden.run(net, **random_input(rng, net))
        saturates = may_saturate(net)
        seen[net.decision] += 1
        seen["image" if net.image_input else "static" if net.static_input else "events"] += 1
        seen["delay"] += net.delay > 0
        seen["payloads"] += net.payload_bits > 1
        seen["decided"] += trace.decision > 0
        for layer, did, limited in zip(net.layers, trace.layers, saturates, strict=True):
            low, high = net.potential_range
            seen["layers"] += 1
            seen["layers that fire"] += layer.fires
            seen["fired"] += bool(did.spikes.any())
            seen["fired behind others"] += bool(did.spikes.any()) and len(layer.connections) > 0
            seen["saturated"] += bool(np.isin(did.potentials, [low, high]).any())
            seen["cannot saturate"] += not limited
            seen[layer.reset_mode] += 1
            seen[layer.leak_order] += 1
            seen["leak"] += layer.leak_shift > 0
            seen["grid"] += not layer.shape.flat
            seen["graded"] += layer.graded
            seen["sent more than 1"] += bool((did.payloads > 1).any())
            seen["several connections"] += len(layer.connections) > 1
            seen["no connection"] += not layer.connections and not layer.current_from_image
            if layer.currents is not None and not layer.shape.flat:
                seen["currents by channel" if layer.currents.size == layer.shape.channels else "by neuron"] += 1
            for connection in layer.connections:
                synapses = connection.synapses
                seen[synapses.kind] += 1
                source = net.shape_of(connection.source)
                seen["pool"] += connection.pool != (1, 1)
                seen["pool of all"] += connection.pool == (source.height, source.width) and not source.flat
                seen["skip"] += connection.source not in (INPUT, net.layers[net.layers.index(layer) - 1].name)
                if isinstance(synapses, Dense):
                    seen["flattened"] += not source.flat
                    seen["to a grid"] += not layer.shape.flat
                    continue
                groups, channels = synapses.groups, source.channels
                seen["groups"] += 1 < groups < channels
                seen["depthwise"] += groups == channels > 1
                seen["rectangular"] += synapses.kernel[0] != synapses.kernel[1]
                seen["large kernel"] += max(synapses.kernel) > 4
                seen["stride"] += max(synapses.stride) > 1
                seen["large stride"] += max(synapses.stride) > 2
                seen["padding"] += max(synapses.padding) > 0
                seen["output padding"] += max(getattr(synapses, "output_padding", (0, 0))) > 0
    return seen


@pytest.fixture(scope="module")
def graphs() -> Counter:
    return survey(1, random_graph)


def test_graphs_have_every_feature(graphs):
    features = """image static events delay payloads decided saturated leak grid graded pool groups depthwise padding
        rectangular stride skip flattened convolution dense transposed_convolution"""
    others = ["no connection", "several connections", "sent more than 1", "currents by channel", "by neuron"]
    others += ["pool of all", "large kernel", "large stride", "output padding", "cannot saturate", "to a grid"]
    for feature in (*Decision, *ResetMode, *LeakOrder, *features.split(), *others):
        assert graphs[feature] >= 5, feature


def test_most_layers_of_graphs_fire(graphs):
    assert graphs["fired"] > 0.5 * graphs["layers that fire"]
    assert graphs["fired behind others"] > 0.4 * graphs["layers that fire"]
    assert graphs["cannot saturate"] > 0.4 * graphs["layers"]


def test_chains_have_every_feature(seed):
    seen = survey(seed, random_network)
    kinds = (Decision.COUNT, Decision.POTENTIAL, *ResetMode, *LeakOrder)
    for feature in (*kinds, "image", "events", "delay", "leak", "saturated", "decided", "cannot saturate"):
        assert seen[feature] >= 5, feature
    assert seen["fired"] > 0.4 * seen["layers that fire"]


def test_a_seed_tells_it_all():
    first, again = (random_graph(np.random.default_rng(5)) for _ in range(2))
    assert first.digest() == again.digest()
    assert first.digest() != random_graph(np.random.default_rng(6)).digest()


def test_graphs_keep_to_what_is_asked_for():
    for seed in range(100):
        net = random_graph(
            np.random.default_rng(seed), payload_bits=2, max_layers=3, max_size=4, max_channels=2, static_input=False
        )
        assert len(net.layers) <= 3
        assert net.payload_bits <= 2
        assert not net.static_input
        assert all(max(layer.shape.height, layer.shape.width) <= 4 for layer in net.layers)
        assert sum(connection.source == INPUT for _, connection in net.walks()) <= 1
