"""The report page: what it says, and that it is always the same and needs nothing else."""

import re
from html.parser import HTMLParser

import pytest

from hillock.gen.report import write_report
from hillock.gen.tables import cycle_shares
from small_simulation import LANES, small_network, small_simulation

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
    assert ("div", {"class": "verdict differs"}) in page.elements
    assert "spike for spike" not in page.text


def test_nothing_compared_proves_nothing(tmp_path):
    result = small_simulation(small_network(6))
    result.comparison = type(result.comparison)()
    page = Page(write_report(result, tmp_path).read_text(encoding="utf-8"))
    assert "0 images, 0 spikes compared, 0 mismatches Nothing is proved: too little was compared." in page.text
    assert ("div", {"class": "verdict differs"}) in page.elements


def test_every_layer_has_its_place_in_every_figure(result, html):
    page = Page(html)
    for layer in result.network.layers:
        assert f" {layer.name} " in page.plot("Spike raster")
        assert f" {layer.name} " in page.plot("By layer")
        assert layer.current_from_image or f" Layer {layer.name}, neuron " in page.plot("Membrane potentials")
        assert f" {layer.name} {layer.neurons} " in page.text


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


@pytest.mark.parametrize("seed", [0, 5])  # 0: nothing ever fires
def test_the_same_simulation_gives_the_same_bytes(seed, tmp_path):
    pages = [
        write_report(small_simulation(small_network(seed), images=8), tmp_path / name).read_bytes() for name in "ab"
    ]
    assert pages[0] == pages[1]
    Page(pages[0].decode())
    assert b"--images" not in pages[0]  # these are all


def test_a_layer_that_never_fires_has_no_threshold(tmp_path):
    network = small_network(9)
    assert not network.layers[-1].fires
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
