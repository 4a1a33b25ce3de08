"""`python gen/build_bitstream.py --board BOARD --model MODEL`: the same as `hillock build`."""

import importlib.util
import sys


def main() -> None:
    """Run `hillock build` with the arguments of this script."""
    from hillock.gen.cli import main as run

    sys.argv.insert(1, "build")
    run()


if __name__ == "__main__":
    # Python puts the folder of a script first in its path, where our modules would hide others of the same name.
    sys.path.pop(0)
    if importlib.util.find_spec("hillock") is None:
        sys.exit(
            "hillock: it is not installed for this Python: run 'make bitstream', or pip install -e '.[synth]' here"
        )
    main()
