"""`lcnet` and `python -m lcnet`: the command line in a process of its own."""

from . import stop


def main() -> None:
    """Run the command that the arguments name, and leave the process with its exit code."""
    stop.at_once()
    from .cli import main as commands
    from .cli.streams import own

    own()
    commands(prog_name="lcnet")


if __name__ == "__main__":
    main()
