"""Products of bytes: exact, and the golden model for many images is the same with them and without."""

import dataclasses
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hillock.gen.byte_product import byte_product
from hillock.gen.datasets import digits
from hillock.gen.models import load_model
from hillock.sim.batch import Batch, run_batch
from hillock.sim.layer_runs import LayerRuns
from random_graphs import random_graph


@pytest.fixture(scope="module")
def product():
    found = byte_product()
    assert found is not None, "torch is there for the tests of training"
    return found


@given(rows=st.integers(1, 40), inner=st.integers(1, 70), columns=st.integers(1, 40), seed=st.integers(0, 2**32))
def test_products_are_exact(product, rows, inner, columns, seed):
    rng = np.random.default_rng(seed)
    left = rng.integers(-128, 128, (rows, inner), dtype=np.int8)
    right = rng.integers(-128, 128, (columns, inner), dtype=np.int8).T  # another order of its bytes
    right.flags.writeable = False
    found = product(left, right)
    assert found.dtype == np.int32
    assert np.array_equal(found, left.astype(np.int64) @ right.astype(np.int64))


def test_the_largest_sums_are_exact(product):
    left, right = np.full((3, 70_000), -128, np.int8), np.full((70_000, 2), -128, np.int8)
    assert product(left, right).tolist() == [[70_000 * 128 * 128] * 2] * 3


@given(seed=st.integers(0, 2**32))
def test_a_batch_is_the_same_with_it(product, seed):
    rng = np.random.default_rng(seed)
    network = random_graph(rng, fraction_bits=0)
    while not (network.image_input or network.static_input):
        network = random_graph(rng, fraction_bits=0)
    largest = 255 if network.image_input else network.largest_payload
    images = np.random.default_rng(seed).integers(0, largest + 1, (3, network.inputs))
    one, other = run_batch(network, images, threads=1), run_batch(network, images, threads=1, product=product)
    for field in dataclasses.fields(one):
        assert np.array_equal(getattr(one, field.name), getattr(other, field.name)), field.name


@pytest.mark.parametrize("name", ["digits", "digits-residual", "digits-autoencoder"])
def test_trained_networks_use_it_and_give_the_same(product, name):
    network, images = load_model(name).network, digits().test_images[:20].astype(np.int64)
    used = [one.product is not None for some in Batch(network, product).sums for one in some]
    assert any(used)
    one, other = run_batch(network, images), run_batch(network, images, product=product)
    for field in dataclasses.fields(one):
        assert np.array_equal(getattr(one, field.name), getattr(other, field.name)), field.name
    plain, fast = LayerRuns(network, images), LayerRuns(network, images, product=product)
    encoder, first = network.layers[0].name, plain.trains(0, {}, 128)
    assert np.array_equal(
        plain.trains(1, {encoder: first}, 5).packed, fast.trains(1, {encoder: fast.trains(0, {}, 128)}, 5).packed
    )


def test_weights_of_more_bits_are_not_bytes(product):
    network = load_model("digits").network
    assert Batch(network, product).sums[1][0].product is product
    wide = dataclasses.replace(network, fraction_bits=1, weight_bits=8)
    assert Batch(wide, product).sums[1][0].product is None  # they are shifted


def test_without_torch_there_is_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert byte_product() is None
