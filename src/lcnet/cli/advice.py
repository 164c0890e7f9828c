"""What a command line can do about a message: the parameters of Python that it names are options here."""

from __future__ import annotations

OPTIONS = {
    " max_pixels = ": " --max-pixels ",
    "(max_member)": "(--max-member)",
    "(skip_unreadable)": "(--skip-unreadable)",
    "(restrict:": "(--restrict:",
}


def advised(message: object) -> str:
    """The text of an error or a note with options where it names parameters: `max_pixels = 9` is `--max-pixels 9`."""
    text = str(message)
    for parameter, option in OPTIONS.items():
        text = text.replace(parameter, option)
    return text
