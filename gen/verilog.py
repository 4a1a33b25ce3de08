"""Gateware as Verilog text: the same for the same configuration, on any machine."""

import re
import warnings
from collections.abc import Sequence

from amaranth.back import verilog
from amaranth.hdl import Value

from hillock.hw.accelerator import Accelerator
from hillock.hw.config import CoreConfig
from hillock.hw.core import MemoryInit
from hillock.hw.synapse_memory import HUGE

__all__ = ["accelerator_verilog", "core_verilog", "without_contents"]

_WORKING = ("potentials", "storage", "counts", "memory")
"""Memories of which no word is read before it has been written: potentials, queues, spike counters, rings."""

_CONTENTS = re.compile(
    rf'((?:\(\* ram_style = "{HUGE}" \*\)\s*)?)(reg \[\d+:0\] (\S+) \[\d+:0\];)'
    r"\s*initial begin\s(?:\s*\3\[\d+\] = \S+;)+\s*end\b"
)

_NOT_ZERO = re.compile(r" = \d+'h0*[1-9a-f]")


def accelerator_verilog(
    configs: Sequence[CoreConfig], inits: Sequence[MemoryInit] | None = None, *, trace: bool = True
) -> str:
    """Verilog of module `accelerator`. Without `trace` its trace ports are left out, for synthesis."""
    accelerator = Accelerator(list(configs), None if inits is None else list(inits))
    ports: list[Value] = []
    for path, _member, value in accelerator.signature.flatten(accelerator):
        if trace or not str(path[0]).startswith("trace"):
            ports.append(Value.cast(value))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Source locations would put absolute paths of this machine into the text.
        return str(
            verilog.convert(accelerator, name="accelerator", ports=ports, emit_src=False, strip_internal_attrs=True)
        )


def core_verilog(config: CoreConfig, init: MemoryInit | None = None, *, trace: bool = True) -> str:
    """Verilog of an accelerator of one core."""
    return accelerator_verilog([config], None if init is None else [init], trace=trace)


def without_contents(verilog: str, *, zeros: bool = False) -> str:
    """The same for synthesis, where these memories hold nothing at power-up.

    Those that lie in large RAMs (`hw.synapse_memory`), which no bitstream can fill; those of `_WORKING`, where it is of
    no account; and with `zeros`, for a core without a network, those that hold zeros and nothing else. Yosys 0.70 fails
    at an assertion in some designs where it is told that they hold zeros.
    """

    def shortened(found: re.Match[str]) -> str:
        works = found[3].rstrip("_0123456789") in _WORKING
        empty = zeros and not _NOT_ZERO.search(found[0])
        return found[1] + found[2] if found[1] or works or empty else found[0]

    return _CONTENTS.sub(shortened, verilog)
