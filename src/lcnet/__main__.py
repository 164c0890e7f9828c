"""`lcnet` and `python -m lcnet`: the command line in a process of its own."""

import sys

from . import stop


def main() -> None:
    """Run the command that the arguments name, and leave the process with its exit code."""
    stop.at_once()
    from .cli import main as commands
    from .cli.codes import FAILED
    from .cli.streams import own

    own()
    try:
        commands(prog_name="lcnet")
    except Exception:  # a bug: it is told in full, and is no "done, but"
        import traceback

        traceback.print_exc()
        sys.exit(FAILED)


if __name__ == "__main__":
    main()
