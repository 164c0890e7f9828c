"""Write docs/commands.md, the help of every command as it is printed. With --check only say whether it is true."""

import sys
from pathlib import Path

import click

from lcnet.cli import COMMANDS, main

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"
HEAD = """# Commands

What `lcnet COMMAND --help` prints, written by `python scripts/command_pages.py`; a test compares.
"""


def _help(command: click.Command, name: str) -> str:
    context = click.Context(command, info_name=name, max_content_width=100, terminal_width=100)
    context.help_option_names = ["-h", "--help"]
    return command.get_help(context)


def page() -> str:
    """The whole page."""
    top = click.Context(main, info_name="lcnet")
    parts = [HEAD]
    for name in COMMANDS:
        command = main.get_command(top, name)
        assert command is not None
        parts.append(f"## lcnet {name}\n\n```\n{_help(command, f'lcnet {name}')}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    text = page()
    if "--check" in sys.argv[1:]:
        sys.exit(0 if PAGE.read_text(encoding="utf-8") == text else f"{PAGE} is stale: python {sys.argv[0]}")
    PAGE.write_text(text, encoding="utf-8")
