"""Who may import whom: rooms as data, no circles, torch only where it is trained with, nothing into the command line."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "lcnet"

# A room (a module or folder of src/lcnet) and the rooms right below it; it may import those and all that they may.
BELOW = {
    "errors": "",
    "text": "",
    "formats": "",
    "families": "",
    "arch": "families",
    "groups": "errors text",
    "needs": "errors text",
    "renamed": "",
    "system": "",
    "stop": "system",
    "cpus": "system",
    "files": "errors text system",
    "sources": "errors text system",
    "config": "arch groups needs errors text",
    "labels": "config",
    "zoo": "labels",
    "modelfile": "zoo files",
    "image": "config sources _native",
    "convert": "modelfile",
    "hub": "convert",
    "data": "image",
    "sheet": "image files cpus",
    "runtime": "hub image sources formats cpus _native",
    "dataset": "image sources labels files cpus",
    "results": "runtime files formats",
    "export": "runtime",
    "changes": "files",
    "upright": "results changes",
    "ocr": "upright",
    "sklearn": "runtime",
    "cluster": "results",
    "evaluate": "dataset results renamed",
    "gallery": "dataset results",
    "quantize": "evaluate",
    "nn": "hub renamed",
    "train": "nn evaluate stop _native",  # the gradient of a depthwise conv is a kernel too
    "bench": "runtime export nn",
    "serve": "runtime files formats stop",
}
FACES = {"cli", "__init__", "__main__"}  # may import anything, and nothing may import them
TORCH = {"nn", "train"}


class Import(NamedTuple):
    """One import of one module: where it stands, what it brings, and when it runs."""

    file: Path
    line: int
    target: str  # a module of ours, dotted and without `lcnet.`, or the first name of another
    late: bool  # inside a function
    ours: bool

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line} imports {self.target}"


def module_of(file: Path) -> str:
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(p for p in parts if p != "__init__") or "__init__"


def room_of(module: str) -> str:
    return module.partition(".")[0]


MODULES = {module_of(file): file for file in sorted(PACKAGE.rglob("*.py"))}


def is_type_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def statements(node: ast.AST, late: bool = False) -> Iterator[tuple[ast.stmt, bool]]:
    """Every import statement but those for the type checker, and whether it stands in a function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child, late
        elif is_type_only(child):
            yield from ((s, late) for part in child.orelse for s, _ in statements(part, late))
        else:
            yield from statements(child, late or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)))


def targets(file: Path, node: ast.stmt) -> Iterator[tuple[str, bool]]:
    """What an import brings, and whether it is ours: `sklearn` is also the name of a room."""
    if isinstance(node, ast.Import):
        names = (alias.name for alias in node.names)
        yield from ((name.removeprefix("lcnet."), name.partition(".")[0] == "lcnet") for name in names)
        return
    base = node.module or ""
    if node.level:
        folder = file.relative_to(PACKAGE).parent.parts
        base = ".".join((*folder[: len(folder) - node.level + 1], *filter(None, [node.module])))
    elif base != "lcnet" and not base.startswith("lcnet."):
        yield base.partition(".")[0], False
        return
    else:
        base = base.removeprefix("lcnet").removeprefix(".")
    for alias in node.names:
        inner = f"{base}.{alias.name}" if base else alias.name
        yield inner if inner in MODULES or inner == "_native" else base or "__init__", True


IMPORTS = [
    Import(file, node.lineno, target, late, ours)
    for file in MODULES.values()
    for node, late in statements(ast.parse(file.read_text(encoding="utf-8")))
    for target, ours in targets(file, node)
]
OURS = [i for i in IMPORTS if i.ours and (i.target in MODULES or i.target == "_native")]


def allowed(room: str) -> set[str]:
    found = {room}
    for below in BELOW.get(room, "").split():
        found |= {below} if below == "_native" else allowed(below) - {"_native"}
    return found


def test_every_room_is_in_the_table_and_nothing_else():
    assert {room_of(m) for m in MODULES} == set(BELOW) | FACES


def test_rooms_import_only_what_stands_below_them():
    wrong = [
        f"{i}, which is not below {room!r}"
        for i in OURS
        if (room := room_of(module_of(i.file))) not in FACES and room_of(i.target) not in allowed(room)
    ]
    assert not wrong, "\n".join(wrong)


def test_nothing_imports_the_command_line():
    wrong = [str(i) for i in OURS if room_of(i.target) == "cli" and room_of(module_of(i.file)) not in FACES]
    assert not wrong, "\n".join(wrong)


def test_torch_is_imported_by_modules_of_the_training_half_only():
    wrong = [
        f"{i}: torch belongs to {' and '.join(sorted(TORCH))}, elsewhere into the function that needs it"
        for i in IMPORTS
        if room_of(i.target) == "torch" and not i.late and room_of(module_of(i.file)) not in TORCH
    ]
    assert not wrong, "\n".join(wrong)


# What not every system has, or has otherwise: modules, and names of others. Only `system` may use it.
POSIX = set("fcntl grp mmap msvcrt posix pwd resource select selectors syslog termios tty _winapi winreg".split())
ELSEWHERE = {
    "os": "fork geteuid getuid kill killpg mkfifo O_NONBLOCK register_at_fork sched_getaffinity sched_setaffinity uname",
    "signal": "alarm pthread_kill pthread_sigmask setitimer SIGALRM SIGHUP SIGKILL SIGPIPE SIGUSR1",
    "sys": "getwindowsversion platform",
}


def test_only_one_module_asks_which_system_this_is():
    wrong = [str(i) for i in IMPORTS if i.target in POSIX and module_of(i.file) != "system"]
    for file in MODULES.values():
        names = (n for n in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(n, ast.Attribute))
        used = ((n.lineno, ast.unparse(n.value), n.attr) for n in names)
        wrong += [
            f"{file.relative_to(ROOT)}:{line} uses {module}.{name}"
            for line, module, name in used
            if name in ELSEWHERE.get(module, "").split() and module_of(file) != "system"
        ]
    assert not wrong, "\n".join(wrong)


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Some circle of a graph as its nodes in order, or nothing: depth first, with the way back to the start."""
    done: set[str] = set()

    def search(node: str, way: list[str]) -> list[str]:
        if node in way:
            return [*way[way.index(node) :], node]
        if node in done:
            return []
        found = next((c for below in sorted(graph.get(node, ())) if (c := search(below, [*way, node]))), [])
        done.add(node)
        return found

    return next((c for node in sorted(graph) if (c := search(node, []))), [])


def test_a_circle_is_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert circle({"a": {"b"}, "b": {"c", "d"}, "d": {"b"}}) == ["b", "d", "b"]


@pytest.mark.parametrize("by", [str, room_of], ids=["modules", "rooms"])
def test_there_are_no_circles(by):
    graph: dict[str, set[str]] = {}
    for i in OURS:
        here, there = by(module_of(i.file)), by(i.target)
        if here != there and "__init__" not in (here, there):
            graph.setdefault(here, set()).add(there)
    assert not circle(graph), " -> ".join(circle(graph))
