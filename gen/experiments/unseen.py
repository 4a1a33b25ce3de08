"""Experiment: the network that is soonest, on the test images that it was not chosen with."""

import json
from dataclasses import replace

from hillock.gen.latency import output_counts
from hillock.gen.simulate import Step, in_silence

from .delay import measure as measure_delay
from .experiment import Experiment, Options, Record, TextTable
from .preloads import networks
from .runs import run_images
from .setting import Setting

__all__ = ["EXPERIMENT", "measure"]


def measure(setting: Setting, options: Options, step: Step) -> Record:
    """Accuracy of the soonest network of the strictest criterion on the other test images, and the float network's.

    Empty where no criterion is reached.
    """
    delays = measure_delay(setting, options, in_silence)
    reached = [name.removeprefix(f"{setting.name}-") for name in delays["written"]]
    if not reached:
        return {"criterion": None}
    criterion = reached[-1]
    preload = delays["written"][f"{setting.name}-{criterion}"]["preload"]
    choice = delays["preloads"][preload]["chosen"][criterion]
    delay, timesteps = choice["delay"], choice["first_at"]
    network = replace(networks(setting, delays["layer_wise"])[preload], timesteps=timesteps)
    seen = len(setting.images)
    others, labels = setting.dataset.test_images[seen:], setting.dataset.test_labels[seen:]
    run = run_images(network, others, options.cache, step("other test images", len(others)))
    counts = output_counts(run.output, network.layers[-1].neurons)
    right = int(((counts[:, timesteps] - counts[:, delay]).argmax(axis=1) == labels).sum())
    of_float = _right_of_float(setting)
    return {
        "search_images": options.search_images,
        "criterion": criterion,
        "preload": preload,
        "timesteps": timesteps,
        "delay": delay,
        "images": len(others),
        "accuracy": round(right / len(others), 6),
        "float_accuracy": round(of_float / len(others), 6),
        "sop_per_image": round(run.operations_until(timesteps), 1),
    }


def _right_of_float(setting: Setting) -> int:
    """How many of the other images the float network has right: by what `train` counted, since it takes minutes."""
    seen, dataset = len(setting.images), setting.dataset
    of_all = json.loads((setting.model.folder / "model.json").read_text())["float"].get("correct")
    if of_all is None:
        return int((setting.float_network.decisions(dataset.test_images[seen:]) == dataset.test_labels[seen:]).sum())
    return int(of_all) - int((setting.activations.argmax(axis=1) == setting.labels).sum())


def _tables(record: Record) -> list[TextTable]:
    head = ["criterion", "preload", "T", "D", "images", "integer", "float", "points", "operations per image"]
    if record["criterion"] is None:
        return [TextTable("No criterion is reached", head, [])]
    lost = 100 * (record["accuracy"] - record["float_accuracy"])
    row = [record["criterion"], record["preload"], str(record["timesteps"]), str(record["delay"])]
    row += [f"{record['images']:,}", f"{100 * record['accuracy']:.2f} %", f"{100 * record['float_accuracy']:.2f} %"]
    row += [f"{lost:+.2f}", f"{record['sop_per_image']:,.0f}"]
    return [TextTable("Accuracy on the test images that nothing was chosen with", head, [row])]


EXPERIMENT = Experiment(
    "unseen",
    "On the other test images",
    "Preload, delay and timesteps of the network that reaches the strictest criterion soonest were chosen with the "
    "test images above. Here it runs on all the others.",
    lambda setting: setting.decides and len(setting.images) < len(setting.dataset.test_images),
    measure,
    _tables,
    lambda record: {},
    needs="a network that tells classes apart, and fewer --images than there are test images",
)
