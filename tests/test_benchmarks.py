"""Benchmarks are run by hand, some once in months; what they take from one another and from the package is there."""

import ast
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def taken(file: Path) -> list[tuple[str, str]]:
    """List the modules and names that a file imports from its neighbours and from the package."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    return [(str(node.module), alias.name) for node in found for alias in node.names]


def defined(file: Path) -> set[str]:
    """Collect the names that a file has: what it defines, and what it imports."""
    names: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Assign(targets=targets):
                names |= {one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names |= {alias.asname or alias.name for alias in aliases}
    return names


@pytest.mark.parametrize("file", sorted(BENCHMARKS.glob("*.py")), ids=lambda file: file.stem)
def test_what_a_benchmark_imports_is_there(file: Path) -> None:
    for module, name in taken(file):
        neighbour = BENCHMARKS / f"{module}.py"
        if neighbour.exists():
            assert name in defined(neighbour), f"{module} has no {name}"
        elif module.partition(".")[0] == "delineate":
            room = import_module(module)
            there = hasattr(room, name) or (hasattr(room, "__path__") and find_spec(f"{module}.{name}"))
            assert there, f"{module} has no {name}"
