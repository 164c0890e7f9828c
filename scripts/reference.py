"""Write docs/commands.md, the help of every command, and docs/api.md, every public name with its signature.

With --check write nothing, and exit with an error if a page is not what would be written.
"""

import inspect
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import click

import lcnet
from lcnet.cli import every_command
from lcnet.cli.codes import MEANINGS

DOCS = Path(__file__).parents[1] / "docs"
# The modules that the documentation imports from, beside what `lcnet` itself has.
MODULES = tuple(
    "arch cluster config data dataset errors evaluate gallery groups image modelfile nn ocr serve sklearn train zoo".split()
)
WRITTEN = "written by `python scripts/reference.py`; a test compares.\n"


def commands_page() -> str:
    """The help of every command, as it is printed."""
    parts = [f"# Commands\n\nWhat `lcnet COMMAND --help` prints, {WRITTEN}"]
    for name, command in every_command().items():
        context = click.Context(command, info_name=f"lcnet {name}", max_content_width=100, terminal_width=100)
        parts.append(f"## lcnet {name}\n\n```\n{command.get_help(context)}\n```\n")
    return "\n".join([*parts, family(), exit_codes()])


def family() -> str:
    """The options that three commands or more have in the same words."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, command in every_command().items():
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden and option.help:
                found.setdefault((", ".join(sorted(option.opts, key=len)), option.help), []).append(name)
    rows = [f"| `{names}` | {said.replace('|', chr(92) + '|')} |" for (names, said), of in sorted(found.items()) if len(of) > 2]
    head = [
        "## Options of several commands",
        "",
        "They mean the same wherever they are.",
        "",
        "| option | meaning |",
        "|---|---|",
    ]
    return "\n".join([*head, *rows, ""])


def exit_codes() -> str:
    """What a script can go by."""
    rows = [f"| {code} | {meaning.replace('|', chr(92) + '|')} |" for code, meaning in MEANINGS.items()]
    return "\n".join(["## Exit codes", "", "The same of every command.", "", "| code | meaning |", "|---|---|", *rows, ""])


def api_page() -> str:
    """Every public name with its signature and the first sentence of its documentation."""
    parts = [
        "# Python API\n\nThese names are public: they change by the rules of semantic versioning, and one that goes warns for "
        f"a minor release before. This page is {WRITTEN}"
    ]
    top = [name for name in lcnet.__all__ if not inspect.ismodule(getattr(lcnet, name))]
    parts.append("## lcnet\n\n" + "".join(_entry(lcnet, name) for name in sorted(top, key=str.lower)))
    for name in MODULES:
        module = import_module(f"lcnet.{name}")
        names = sorted(_public(module), key=str.lower)
        parts.append(f"## lcnet.{name}\n\n" + "".join(_entry(module, n) for n in names))
    return "\n".join(parts)


def _public(module: ModuleType) -> list[str]:
    """What a module says is public, or else the classes and functions that it defines itself."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    own = (n for n, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__)
    return [n for n in own if not n.startswith("_") and callable(getattr(module, n))]


def _entry(module: ModuleType, name: str) -> str:
    value = getattr(module, name)
    if not callable(value):
        return f"- `{name}`\n"
    lines = [f"- `{name}{_signature(value)}`{_sentence(value)}\n"]
    if inspect.isclass(value):
        lines += [f"  - `{line}`{said}\n" for line, said in _members(value)]
    return "".join(lines)


def _members(kind: type) -> Iterator[tuple[str, str]]:
    """The public methods and properties that a class defines itself, and of an exception none."""
    for name, value in sorted(vars(kind).items()):
        if name.startswith("_"):
            continue
        if isinstance(value, property):
            yield name, _sentence(value)
        elif isinstance(value, (staticmethod, classmethod)) or inspect.isfunction(value):
            yield f"{name}{_signature(getattr(kind, name))}", _sentence(value)


def _signature(value: Any) -> str:
    if inspect.isclass(value) and issubclass(value, Exception):
        return ""
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    parameters = [p.replace(annotation=inspect.Parameter.empty) for n, p in found.parameters.items() if n != "self"]
    return str(found.replace(parameters=parameters, return_annotation=inspect.Signature.empty))


def _sentence(value: Any) -> str:
    said = inspect.cleandoc(value.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
    return f": {said}" if said else ""


def pages() -> dict[Path, str]:
    """Each page and its text."""
    return {DOCS / "commands.md": commands_page(), DOCS / "api.md": api_page()}


if __name__ == "__main__":
    stale = [path for path, text in pages().items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv[1:]:
        sys.exit(f"{' and '.join(p.name for p in stale)}: not as the code is now: run python {sys.argv[0]}" if stale else 0)
    for path in stale:
        path.write_text(pages()[path], encoding="utf-8")
