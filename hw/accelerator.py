"""One core, or several in a pipeline: each runs some layers, and what one emits is the input of the next."""

from functools import reduce
from operator import or_

from amaranth.hdl import Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In
from amaranth.utils import ceil_log2

from .config import CoreConfig
from .control import bus_signature
from .core import Core, MemoryInit
from .registers import BUS_ADDRESS_BITS

__all__ = ["MAX_CORES", "Accelerator"]

MAX_CORES = 16


class Accelerator(wiring.Component):
    """Cores in a row, all at work at once, on successive timesteps and inferences.

    A core takes its tokens as the one before it gives them, and holds it back when its input queue is full. There is no
    deadlock: the spikes of a fire pass wait in the output queue of their core, which has room for all of them, so
    that a fire pass never stops half-way; a core waits for the one before it to give and for the one behind it to take,
    and the last one is always taken from.

    Parameters
    ----------
    configs : list of CoreConfig
    inits : list of MemoryInit, optional
        What the memories of each core hold at power-up.

    Members
    -------
    bus : in
        Wishbone, see `control`; the number of the core is above the `BUS_ADDRESS_BITS` of its own addresses.
    inputs : in stream
        To the first core.
    spikes, decision : out streams
        From the last.
    trace<n>_* : out
        For benches: those of core n.
    """

    def __init__(self, configs: list[CoreConfig], inits: list[MemoryInit] | None = None):
        if not 1 <= len(configs) <= MAX_CORES:
            raise ValueError(f"an accelerator has from 1 to {MAX_CORES} cores, not {len(configs)}")
        inits = inits or [MemoryInit() for _ in configs]
        self.cores = [
            Core(config, init, inner=number > 0)
            for number, (config, init) in enumerate(zip(configs, inits, strict=True))
        ]
        first, last = self.cores[0].signature.members, self.cores[-1].signature.members
        traces = {
            f"trace{number}_{name.removeprefix('trace_')}": member
            for number, core in enumerate(self.cores)
            for name, member in core.signature.members.items()
            if name.startswith("trace_")
        }
        address_bits = BUS_ADDRESS_BITS + ceil_log2(len(configs))
        super().__init__(
            {
                "bus": In(bus_signature(address_bits)),
                "inputs": first["inputs"],
                "spikes": last["spikes"],
                "decision": last["decision"],
                **traces,
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        number = self.bus.adr[BUS_ADDRESS_BITS:]
        for index, core in enumerate(self.cores):
            m.submodules[f"core{index}"] = core
            chosen = (number == index) if len(self.cores) > 1 else 1
            m.d.comb += [
                core.bus.cyc.eq(self.bus.cyc & chosen),
                core.bus.stb.eq(self.bus.stb),
                core.bus.we.eq(self.bus.we),
                core.bus.adr.eq(self.bus.adr),
                core.bus.dat_w.eq(self.bus.dat_w),
            ]
            with m.If(chosen):
                m.d.comb += self.bus.ack.eq(core.bus.ack)
            for name in core.signature.members:
                if name.startswith("trace_"):
                    trace: Value = getattr(self, f"trace{index}_{name.removeprefix('trace_')}")
                    m.d.comb += trace.eq(getattr(core, name))

        m.d.comb += self.bus.dat_r.eq(reduce(or_, (core.bus.dat_r for core in self.cores)))
        wiring.connect(m, wiring.flipped(self.inputs), self.cores[0].inputs)
        for before, after in zip(self.cores[:-1], self.cores[1:], strict=True):
            self._join(m, before.spikes, after.inputs)
            m.d.comb += before.decision.ready.eq(1)
        wiring.connect(m, self.cores[-1].spikes, wiring.flipped(self.spikes))
        wiring.connect(m, self.cores[-1].decision, wiring.flipped(self.decision))
        return m

    @staticmethod
    def _join(m: Module, given: stream.Interface, taken: stream.Interface) -> None:
        """Tokens keep their fields; those of the core that takes them may be wider or narrower."""
        m.d.comb += [taken.valid.eq(given.valid), given.ready.eq(taken.ready)]
        for name in taken.payload.shape().members:
            m.d.comb += taken.payload[name].eq(given.payload[name])
        if len(taken.payload.payload) and not len(given.payload.payload):
            m.d.comb += taken.payload.payload.eq(1)
