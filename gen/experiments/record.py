"""What an experiment leaves behind: a record with all figures by name, drawings, and the page of its model.

They say nothing of when or where: the same network and images give the same files.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hillock.hw.problems import HillockError
from hillock.sim.archive import write_file

from .experiment import Experiment, Record

__all__ = ["page_of", "read_records", "write_results"]


def write_results(experiment: Experiment, record: Record, known: Sequence[Experiment], folder: Path) -> Path:
    """Write the record and the drawings of an experiment, and the page of its model anew; the path of the page.

    `folder` is that of all models, and `known` are all experiments in the order in which a page has them.
    """
    place = folder / str(record["about"]["model"])
    write_file(place / f"{experiment.name}.json", f"{_compact(record)}\n".encode())
    for name, (content, _) in experiment.figures(record).items():
        write_file(place / name, content)
    path = place / "README.md"
    write_file(path, page_of(read_records(place, known), known).encode())
    return path


def read_records(place: Path, known: Sequence[Experiment]) -> dict[str, Record]:
    """The records in the folder of a model, by the name of the experiment."""
    records = {}
    for experiment in known:
        path = place / f"{experiment.name}.json"
        if path.is_file():
            try:
                records[experiment.name] = json.loads(path.read_text())
            except ValueError as error:
                raise HillockError(f"{path}: it must be the record of an experiment ({error}): delete it") from None
    return records


def page_of(records: Mapping[str, Record], known: Sequence[Experiment]) -> str:
    """The page of a model, from its records."""
    parts: list[str] = []
    for experiment in known:
        if experiment.name not in records:
            continue
        record = records[experiment.name]
        if not parts:
            parts.append(f"# Experiments: {record['about']['model']}")
        parts += [f"## {experiment.title}", f"    {record['command']}", experiment.text, _conditions(record["about"])]
        parts += [table.markdown() for table in experiment.tables(record)]
        parts += [f"![{alt}]({name})" for name, (_, alt) in experiment.figures(record).items()]
    return "\n\n".join(parts) + "\n"


def _conditions(about: Record) -> str:
    images, held_out = about["images"], about["test_images"]
    some = f"all {images:,}" if images == held_out else f"the first {images:,} of {held_out:,}"
    return (
        f"Integer network, {about['weight_bits']}-bit weights, activations scaled by percentile "
        f"{about['percentile']:g} over {about['images_of_the_percentile']:,} training images; {some} test images of "
        f"{about['dataset']}{', ' + about['remark'] if about.get('remark') else ''}; T = {about['timesteps']}; trained "
        f"with seed {about['seed']}. Digests: network `{about['network_digest'][:16]}`, data "
        f"`{about['dataset_digest'][:16]}`."
    )


def _compact(record: Record) -> str:
    """JSON with lists of numbers on one line each."""

    def written(value: Any, indent: int) -> str:
        pad = " " * (indent + 1)
        if isinstance(value, dict) and value:
            inside = ",\n".join(f"{pad}{json.dumps(name)}: {written(one, indent + 1)}" for name, one in value.items())
            return f"{{\n{inside}\n{' ' * indent}}}"
        if isinstance(value, list) and any(isinstance(one, dict) for one in value):
            return "[\n" + ",\n".join(pad + written(one, indent + 1) for one in value) + f"\n{' ' * indent}]"
        return json.dumps(value)

    return written(record, 0)
