"""A core as Verilog text: the same for the same configuration, on any machine."""

import warnings

from amaranth.back import verilog
from amaranth.hdl import Value

from hillock.hw.config import CoreConfig
from hillock.hw.core import Core, MemoryInit

__all__ = ["core_verilog"]


def core_verilog(config: CoreConfig, init: MemoryInit | None = None, *, trace: bool = True) -> str:
    """Verilog of module `core`. Without `trace` its trace ports are left out, for synthesis."""
    core = Core(config, init)
    ports: list[Value] = []
    for path, _member, value in core.signature.flatten(core):
        if trace or not str(path[0]).startswith("trace_"):
            ports.append(Value.cast(value))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Source locations would put absolute paths of this machine into the text.
        return str(verilog.convert(core, name="core", ports=ports, emit_src=False, strip_internal_attrs=True))
