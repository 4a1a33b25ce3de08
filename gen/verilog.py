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

_CONTENTS = re.compile(
    rf'(\(\* ram_style = "{HUGE}" \*\)\s*reg \[\d+:0\] (\S+) \[\d+:0\];)'
    r"\s*initial begin\s(?:\s*\2\[\d+\] = \S+;)+\s*end\b"
)


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


def without_contents(verilog: str) -> str:
    """The same, where memories that lie in large RAMs (`hw.synapse_memory`) hold nothing at power-up."""
    return _CONTENTS.sub(r"\1", verilog)
