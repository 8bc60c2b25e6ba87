"""How the package is laid out, read from its imports, those inside functions included.

`python tests/house.py [FOLDER]` prints files, lines, files at the root, circles, floors and arrows that point up.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROWS = (
    ("cli", "__main__"),
    ("compare", "report", "benchmark"),
    ("training",),
    ("evaluation", "export", "app"),
    ("prediction",),
    ("checkpoints",),
    ("config",),
    ("synthetic",),
    ("data",),
    ("model",),
    ("metrics", "losses"),
    ("tasks",),
    ("ops", "imaging", "downloads", "system"),
    ("extensions", "moved", "errors", "trust", "version"),
)
"""Folders and files of the package from top to bottom: imports point down only. `bridgenet/__init__.py` stands above all."""

HEAVY = {
    "accelerate", "cv2", "gradio", "huggingface_hub", "matplotlib", "numpy", "onnx", "onnxruntime", "scipy",
    "skimage", "timm", "torch", "torchmetrics", "triton",
}  # fmt: skip
"""Libraries that take long to load, or that are not on every system."""

Graph = dict[str, set[str]]
"""The modules that each module imports."""


def modules(source: Path) -> dict[str, Path]:
    """The file of every module below `source`, a folder that holds the package `bridgenet`."""
    found = {}
    for path in sorted((source / "bridgenet").rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def read(source: Path, *, at_once: bool = False) -> Graph:
    """What imports what. Imports for type checkers alone do not count: they never run.

    Args:
        at_once: only what is imported with the module itself, not inside functions.
    """
    files = modules(source)
    return {name: set(_imported(name, path, files, at_once)) - {name} for name, path in files.items()}


def _imported(name: str, path: Path, files: dict[str, Path], at_once: bool) -> Iterator[str]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in _running(ast.parse(path.read_text(encoding="utf-8")), at_once):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in files)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                if f"{base}.{alias.name}" in files:
                    yield f"{base}.{alias.name}"
                elif base in files:
                    yield base


def _running(node: ast.AST, at_once: bool) -> Iterator[ast.AST]:
    """All nodes but those under `if TYPE_CHECKING`, and with `at_once` those in functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if at_once and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        yield child
        yield from _running(child, at_once)


def needless(source: Path) -> set[tuple[str, str]]:
    """Imports inside functions that put off loading nothing: the module has all heavy libraries of the imported one already."""
    files, at_once, everything = modules(source), read(source, at_once=True), read(source)
    loaded: dict[str, set[str]] = {}
    for name, path in files.items():
        loaded[name] = set()
        for node in _running(ast.parse(path.read_text(encoding="utf-8")), at_once=True):
            found = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            loaded[name] |= {library.partition(".")[0] for library in found} & HEAVY
    packages = {name: {name.rsplit(".", n)[0] for n in range(1, name.count("."))} for name in files}
    changed = True
    while changed:  # with a module come all that it imports at once, and the packages that it lies in
        changed = False
        for name in files:
            every = set().union(*(loaded[other] for other in at_once[name] | packages[name] if other in loaded))
            changed |= not every <= loaded[name]
            loaded[name] |= every
    return {
        (name, other)
        for name, others in everything.items()
        for other in others - at_once[name]
        if loaded[other] <= loaded[name] and name != "bridgenet.__main__"
    }


def row_of(name: str) -> int | None:
    """The row of a module, counted from the top; None for one that has none, as the package itself."""
    part = name.split(".")[1] if "." in name else ""
    return next((number for number, row in enumerate(ROWS) if part in row), None)


def upward(graph: Graph) -> set[tuple[str, str]]:
    """Imports that point up."""
    rows = {name: row_of(name) for name in graph}
    return {
        (name, other)
        for name, others in graph.items()
        for other in others
        if (above := rows[name]) is not None and (below := rows[other]) is not None and above > below
    }


def circles(graph: Graph) -> list[list[str]]:
    """Groups of modules that import each other, by Tarjan's algorithm."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        number[name] = lowest[name] = len(number)
        stack.append(name)
        for other in graph[name]:
            if other not in number:
                visit(other)
                lowest[name] = min(lowest[name], lowest[other])
            elif other in stack:
                lowest[name] = min(lowest[name], number[other])
        if lowest[name] == number[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(sorted(group))

    for name in graph:
        if name not in number:
            visit(name)
    return found


def folder_graph(graph: Graph) -> Graph:
    """The same between folders (and files at the root), without the package itself."""
    found: Graph = {}
    for name, others in graph.items():
        if "." in name:
            own = found.setdefault(name.split(".")[1], set())
            own |= {other.split(".")[1] for other in others if "." in other} - {name.split(".")[1]}
    return found


def floors(graph: Graph) -> int:
    """On how many floors the modules stand, each above all that it imports; those of a circle on one."""
    group_of = {name: group[0] for group in circles(graph) for name in group}
    heights: dict[str, int] = {}

    def height(name: str) -> int:
        if name not in heights:
            members = [other for other in graph if group_of.get(other, other) == name]
            below = {group_of.get(other, other) for member in members for other in graph[member]} - {name}
            heights[name] = 1 + max(map(height, below), default=0)
        return heights[name]

    return max(height(group_of.get(name, name)) for name in graph)


def main(source: Path) -> None:
    """Print the figures."""
    graph, files = read(source), modules(source)
    lines = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in files.items()}
    print(f"{len(files)} files, {sum(lines.values())} lines in bridgenet/")
    print(f"{len(list((source / 'bridgenet').glob('*.py')))} files at the root")
    print(f"{len(circles(graph))} circles ({', '.join(str(len(group)) for group in circles(graph)) or 'none'})")
    print(f"{floors(graph)} floors of modules")
    print(f"{len(upward(graph))} imports that point up")
    print(f"{len(needless(source))} imports inside functions that put nothing off")
    for name, count in sorted(lines.items(), key=lambda entry: -entry[1]):
        if count > 350:
            print(f"{name} has {count} lines")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "src")
