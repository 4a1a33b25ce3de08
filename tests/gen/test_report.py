"""The report page: what it says, and that it is always the same and needs nothing else."""

import re
from html.parser import HTMLParser

import pytest

from hillock.gen.report import write_report
from hillock.gen.tables import cycle_shares
from hillock.sim.network import Decision, ResetMode
from small_simulation import LANES, autoencoder, small_graph, small_network, small_simulation

ALONE = {"meta", "br", "link", "img", "input", "hr"}  # elements that have no end


class Page(HTMLParser):
    """The page's text, and its elements, whose ends must match."""

    def __init__(self, html: str):
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in ALONE:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.texts.append(data)

    def plots(self) -> list[str]:
        """What the figures are said to show."""
        found = [attributes for tag, attributes in self.elements if tag == "svg"]
        return [attributes["aria-label"] or "" for attributes in found if attributes.get("class") == "plot"]

    def pictures(self) -> list[str]:
        """What the pictures are said to show."""
        found = [attributes for tag, attributes in self.elements if tag == "svg"]
        return [attributes["aria-label"] or "" for attributes in found if attributes.get("class") == "tiles"]

    def plot(self, start: str) -> str:
        """What the one figure is said to show whose words start like this."""
        (found,) = (words for words in self.plots() if words.startswith(start))
        return found


@pytest.fixture(scope="module")
def result():
    return small_simulation(small_network(6))


@pytest.fixture(scope="module")
def html(result, tmp_path_factory):
    path = write_report(result, tmp_path_factory.mktemp("report"))
    assert path.name == "report.html"
    return path.read_text(encoding="utf-8")


def test_the_verdict_comes_first(result, html):
    spikes = 5 * sum(layer.neurons for layer in result.network.layers) * result.network.timesteps
    page = Page(html)
    assert f"5 images, {spikes:,} spikes compared, 0 mismatches" in page.text[:200]
    assert "spike for spike, potential for potential, cycle for cycle." in page.text
    assert ("div", {"class": "verdict"}) in page.elements


def test_a_difference_is_shown_and_escaped(tmp_path):
    network = small_network(6, name="<i>&last</i>")
    page = Page(html := write_report(small_simulation(network, equal=False), tmp_path).read_text(encoding="utf-8"))
    assert "spikes compared, 1 mismatch The gateware differs from the golden model. First difference: " in page.text
    assert "spike at layer <i>&last</i>, timestep 1, neuron 0, cycle " in page.text
    assert "<i>" not in html
    assert ("div", {"class": "verdict bad"}) in page.elements
    assert "spike for spike" not in page.text


def test_nothing_compared_proves_nothing(tmp_path):
    result = small_simulation(small_network(6))
    result.comparison = type(result.comparison)()
    page = Page(write_report(result, tmp_path).read_text(encoding="utf-8"))
    assert "0 images, 0 spikes compared, 0 mismatches Nothing is proved: too little was compared." in page.text
    assert ("div", {"class": "verdict bad"}) in page.elements


def test_every_layer_has_its_place_in_every_figure(result, html):
    page = Page(html)
    for layer in result.network.layers:
        assert f" {layer.name} " in page.plot("Spike raster")
        assert f" {layer.name} " in page.plot("By layer")
        traced = not layer.current_from_image and layer.reset_mode is not ResetMode.EVERY_TIMESTEP
        assert traced == (f" Layer {layer.name}, neuron " in page.plot("Membrane potentials"))
    for layer in result.layers:
        layout = layer.layout
        row = f" {layer.name} {layout.shape} {layout.columns}x{layout.channels} {layout.words} "
        assert row in page.text


def test_the_figures_are_those_of_the_simulation(result, html):
    text, summary = Page(html).text, result.summary()
    for value in (
        f"{100 * summary['accuracy']:.2f} %",
        "87.50 % on all 8",
        f"from {min(result.cycles):,} to {max(result.cycles):,}",
        f"{100 * summary['lane_utilization']:.1f} %",
        "247 thousand cycles per second",
        f'make sim ARGS="random --lanes {LANES} --images 5"',
        f"lanes {LANES} weights added per clock cycle",
        result.network.digest(),
        result.dataset.digest,
    ):
        assert value in text


def test_the_shares_are_all_cycles(result):
    shares = cycle_shares(result)
    assert sum(part.share for part in shares) == pytest.approx(1)
    assert sum(part.cycles for part in shares) == pytest.approx(sum(result.cycles) / 5)
    assert shares[0].share == pytest.approx(result.summary()["lane_utilization"])
    assert all(part.cycles >= 0 for part in shares)
    by_name = {part.name: part.cycles for part in shares}
    words = sum(layer.layout.words for layer in result.layers)
    assert by_name["fire passes"] == result.network.timesteps * words
    assert by_name["preload"] == words
    busy = sum(layer.busy_cycles for layer in result.layers) / 5
    assert by_name["changes and waits"] == pytest.approx(sum(result.cycles) / 5 - busy - words)


@pytest.mark.parametrize("seed", range(12))
def test_the_shares_are_all_cycles_of_graphs_too(seed):
    result = small_simulation(small_graph(seed), images=2)
    shares = cycle_shares(result)
    assert sum(part.share for part in shares) == pytest.approx(1)
    assert all(part.cycles > -1e-9 for part in shares)


def test_static_input_takes_two_more_passes():
    result = small_simulation(small_graph(1, lambda network: network.static_input), images=2)
    (preload,) = (part for part in cycle_shares(result) if part.name == "preload")
    assert preload.cycles == sum(layer.layout.words for layer in result.layers) + 2 * result.layers[0].layout.words
    assert sum(part.share for part in cycle_shares(result)) == pytest.approx(1)
    assert preload.meaning.endswith("static input is held as")


@pytest.mark.parametrize("seed", [0, 5])  # 0: nothing ever fires
def test_the_same_simulation_gives_the_same_bytes(seed, tmp_path):
    pages = [
        write_report(small_simulation(small_network(seed), images=8), tmp_path / name).read_bytes() for name in "ab"
    ]
    assert pages[0] == pages[1]
    Page(pages[0].decode())
    assert b"--images" not in pages[0]  # these are all


def test_an_image_that_is_given_back_is_shown_beside_the_one_given(tmp_path):
    network, float_network = autoencoder()
    result = small_simulation(network, float_network=float_network)
    page = Page(write_report(result, tmp_path).read_text(encoding="utf-8"))
    pictures = [words for words in page.pictures() if not words.startswith("Spikes by place")]
    assert pictures == [
        f"Input image of 2 by 3 pixels, labelled {result.sample.label}",
        "Output of 2 by 3 pixels of the float ANN",
        "Output of 2 by 3 pixels of the integer network, as spike counts",
    ]
    error = ((result.sample.trace.counts / 18 - result.sample.pixels / 255) ** 2).mean()
    assert f"Output spikes in 18 timesteps, error {error:.4f}." in page.text
    assert f"Float ANN, error {((0.1 * result.sample.pixels / 255) ** 2).mean():.4f}." in page.text
    assert "Nothing is decided: the output is what the last layer fires." in page.text
    assert f"Mean squared error {result.score.final:.4f}" in page.text
    assert page.plot("Mean squared error of the integer network: from ")
    assert "ccuracy" not in page.text
    assert "What decided" not in page.text


def test_a_network_without_any_score(tmp_path):
    network = small_graph(0, lambda one: one.decision is Decision.NONE and one.layers[-1].neurons != one.inputs)
    result = small_simulation(network)
    assert result.score is None
    page = Page(write_report(result, tmp_path).read_text(encoding="utf-8"))
    assert "Cycles of all 5 images" in page.text
    assert "Nothing is decided" in page.text
    assert "float ANN" not in page.text
    assert len(page.plots()) == 4


def test_layers_with_places_have_a_map_of_their_spikes(tmp_path):
    result = small_simulation(small_graph(4, lambda one: sum(not layer.shape.flat for layer in one.layers) > 2))
    page = Page(write_report(result, tmp_path).read_text(encoding="utf-8"))
    maps = [words for words in page.pictures() if words.startswith("Spikes by place")]
    grids = [layer for layer in result.network.layers if not layer.shape.flat]
    assert len(maps) == len(grids)
    for layer, words in zip(grids, maps, strict=True):
        assert words.startswith(f"Spikes by place. {layer.name}: {layer.shape.height} x {layer.shape.width} places, ")


def test_connections_are_in_words(tmp_path):
    def wanted(network):
        kinds = [connection.synapses.kind for _, connection in network.walks()]
        return "transposed_convolution" in kinds and "convolution" in kinds

    result = small_simulation(small_graph(0, wanted), images=1)
    text = Page(write_report(result, tmp_path).read_text(encoding="utf-8")).text
    for _, connection in result.network.walks():
        synapses = connection.synapses
        source = "events" if connection.source == "input" else connection.source
        pool = f", pooled {connection.pool[0]}x{connection.pool[1]}" if connection.pool != (1, 1) else ""
        kind = synapses.kind.replace("_", " ")
        kernel = "" if kind == "dense" else f"{synapses.kernel[0]}x{synapses.kernel[1]} "
        assert f"{source}{pool}, {kernel}{kind}" in text


def shows_a_last_layer_that_never_fires(network):
    last = network.layers[-1]
    return not last.fires and last.reset_mode is not ResetMode.EVERY_TIMESTEP


def test_a_layer_that_never_fires_has_no_threshold(tmp_path):
    network = next(network for network in map(small_network, range(99)) if shows_a_last_layer_that_never_fires(network))
    page = Page(write_report(small_simulation(network), tmp_path).read_text(encoding="utf-8"))
    last = network.layers[-1].name
    told = page.plot("Membrane potentials. ")
    assert "threshold" not in told.rpartition(f"Layer {last}, neuron")[2]
    assert "never fires" in page.text
    assert page.plot("Membrane potential at the end, by class: ")


def test_the_page_needs_nothing_else(html, tmp_path):
    assert not re.search(r"https?:|//|@import|<script|<link|<img|<metadata", html)
    assert not re.search(r"/(home|tmp|work|usr|root)\b", html)
    assert str(tmp_path) not in html
    names = re.findall(r'(?:url\(|href=")#([^")]+)', html)
    ids = re.findall(r' id="([^"]+)"', html)
    assert sorted(set(names) - set(ids)) == []
    assert len(ids) == len(set(ids))


def test_what_is_drawn_follows_the_colours_of_the_page(html):
    drawn = html.partition("<body>")[2]
    assert re.findall(r"#[0-9a-f]{6}\b", drawn) == []
    used = set(re.findall(r"var\(--([a-z0-9]+)\)", html))
    assert used <= set(re.findall(r"--([a-z0-9]+):", html))


def test_every_figure_has_words(html):
    page = Page(html)
    assert len(page.plots()) == 6
    assert all(attributes.get("aria-label") for tag, attributes in page.elements if tag == "svg")
    assert html.count("<figure") == html.count("<figcaption")
