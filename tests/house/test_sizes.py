"""Rooms that can be taken in: no file over 300 lines, no function over 60 besides its docstring, few files a folder."""

import ast
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ("geometry", "meshmove", "solvers", "plugins")
FILES = [p for folder in SOURCE for p in sorted((ROOT / folder).rglob("*.py"))]
LINES, FUNCTION, FOLDER = 300, 60, 13

#: what is larger, and may not grow; each of these leaves the list with the work that is being done there
FILES_OVER: dict[str, int] = {}
FUNCTIONS_OVER: dict[str, int] = {}
FOLDERS_OVER: dict[str, int] = {}


def beyond(found, known):
    """What is found and not known, or larger than that."""
    return {name: size for name, size in found.items() if size > known.get(name, 0)}


def lines_of(function):
    """Number of lines of a function, decorators and docstring apart."""
    doc = function.body[0] if ast.get_docstring(function) is not None else None
    return function.end_lineno - function.lineno + 1 - (doc.end_lineno - doc.lineno + 1 if doc else 0)


def functions(path):
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, kinds)]


def name(path):
    return str(path.relative_to(ROOT))


def test_files():
    found = {name(p): n for p in FILES if (n := len(p.read_text().splitlines())) > LINES}
    assert not beyond(found, FILES_OVER)


def test_functions():
    found = {f"{name(p)}: {f.name}": n for p in FILES for f in functions(p) if (n := lines_of(f)) > FUNCTION}
    assert not beyond(found, FUNCTIONS_OVER)


def test_folders():
    count = Counter(name(p.parent) for p in FILES if p.name != "__init__.py")
    assert not beyond({folder: n for folder, n in count.items() if n > FOLDER}, FOLDERS_OVER)


@pytest.mark.parametrize(
    ("source", "lines"), [("def f():\n    '''a\n    b'''\n    return 1\n", 2), ("def f(\n    x,\n): return x\n", 3)]
)
def test_what_counts_as_a_line(source, lines):
    (function,) = ast.parse(source).body
    assert lines_of(function) == lines
