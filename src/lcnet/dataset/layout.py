"""Where the parts are in a tree of folders, and whether that is certain. docs/data.md has the rules.

Refuses folders that are called like parts and have no classes in them, and a class that may be a part: guessed wrong,
either trains to the end and means nothing.
"""

from __future__ import annotations

from ..errors import InputError
from ..text import plain
from .named import AUTO, class_in
from .parts import parts_among, settle, split_of
from .trees import LISTING, Tree, has_pictures, join, shown_folder

_WRAPPERS = 3  # folders around everything, one in another, as archives unpack


def labeled_parts(tree: Tree) -> dict[str, str]:
    """The folder of each part, whatever is in it: where labels need no folders of classes. "" for train if there are none."""
    root, named = _named(tree)
    return _by_part(tree, root, named) if "train" in named.values() else {"train": ""}


def listed_parts(tree: Tree) -> dict[str, str] | None:
    """The folder of each part, if train has no folders and a `LISTING` says its labels; else None."""
    root, named = _named(tree)
    trains = [_unwrapped(tree, join(root, name)) for name, part in named.items() if part == "train"] or [""]
    listed = any(tree.listing(folder) is not None and not tree.entries(folder)[1] for folder in trains)
    return labeled_parts(tree) if listed else None


def class_parts(tree: Tree) -> dict[str, str]:
    """The folder of each part, with folders of classes in that for train. Raises `InputError` for what is uncertain."""
    root, named = _named(tree)
    if not named:
        return {"train": ""}
    named = dict(sorted(named.items(), key=lambda item: item[1] != "train"))
    folders = {name: _unwrapped(tree, join(root, name)) for name in named}
    bare = [name for name in named if not tree.entries(folders[name])[1]]
    if any(part == "train" and name not in bare for name, part in named.items()):
        if len(named) == 1:
            _check_alone(tree, root, next(iter(named)))
        return _by_part(tree, root, named)
    if ("train" not in named.values() or len(named) == 1) and _others(tree, root, named):
        return {"train": ""}
    if not bare:
        first = next(iter(named))
        raise InputError(
            f"{shown_folder(tree, root)} has {plain(first)} but no train: name "
            f"{shown_folder(tree, join(root, first))} to take it alone"
        )
    raise _classless(tree, root, bare, [folders[name] for name in bare])


def _named(tree: Tree) -> tuple[str, dict[str, str]]:
    """The folder that has the parts in it, and which of its folders are called like which; "" and none without."""
    folder = ""
    for _ in range(_WRAPPERS):
        samples, folders = tree.entries(folder)
        named = parts_among(folders)
        if named:
            return folder, named
        if samples or len(folders) != 1:
            break
        folder = join(folder, folders[0])
    return "", {}


def _by_part(tree: Tree, root: str, named: dict[str, str]) -> dict[str, str]:
    parts: dict[str, str] = {}
    for name, part in named.items():
        other = parts.setdefault(part, name)
        if other != name:
            raise InputError(f"{shown_folder(tree, root)} has {other!r} and {name!r}, which mean the same: remove or join one")
    parts = settle(shown_folder(tree, root), parts)
    return {part: _unwrapped(tree, join(root, parts[part])) for part in ("train", "val", "test") if part in parts}


def _unwrapped(tree: Tree, folder: str) -> str:
    """The part's folder, or the only one in it if that is called alike, as in training_set/training_set."""
    samples, folders = tree.entries(folder)
    name = folder.rpartition("/")[2]
    if not samples and len(folders) == 1 and (folders[0] == name or split_of(folders[0]) == (split_of(name) or "-")):
        return join(folder, folders[0])
    return folder


def _others(tree: Tree, root: str, named: dict[str, str]) -> list[str]:
    """The folders with pictures that are not called like a part."""
    return [name for name in tree.entries(root)[1] if name not in named and has_pictures(tree, join(root, name))]


def _check_alone(tree: Tree, root: str, train: str) -> None:
    others = _others(tree, root, {train: "train"})
    if others:
        raise InputError(
            f"{shown_folder(tree, root)}: is {train!r} the part for train, or a class beside {others[0]!r}? Both have "
            f"pictures: name {shown_folder(tree, join(root, train))} to take it alone, or rename it if it is a class"
        )


def _classless(tree: Tree, root: str, bare: list[str], folders: list[str]) -> InputError:
    """The error for parts without classes."""
    place, names = shown_folder(tree, root), " and ".join(map(repr, bare))
    found = "are parts, not classes, and have" if len(bare) > 1 else "is a part, not a class, and has"
    return InputError(
        f"{place}: {names} {found} no class folders: expected {place}/{bare[0]}/<class>/<picture>, a folder of pictures a "
        f"class, or {LISTING} in each part; {from_names_hint(tree, folders)}. If they are classes, rename them"
    )


def from_names_hint(tree: Tree, folders: list[str]) -> str:
    """What to do with pictures that lie in no class's folder: take their names, if they say it, or list them."""
    names = [name for folder in folders for name in tree.entries(folder)[0]]
    example = next((name for name in names if class_in(name)), None)
    table = "a table of path,label,split"
    if example is None:
        return f"or give {table}; where names say the class, --labels-from-names takes it"
    return f"if their names say the class, as {plain(example)} may, add --labels-from-names {AUTO}; else give {table}"
