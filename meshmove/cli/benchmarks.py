"""Finds the benchmarks of the repository and runs them, each in an interpreter of its own with one thread."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meshmove.geometry.errors import MeshmoveError

__all__ = ["RENAMED", "Benchmark", "BenchmarkError", "folder", "found", "judged", "named", "run"]

#: names of an earlier layout that still work -> the name of today
RENAMED = {"random": "robustness"}


@dataclass(frozen=True)
class Benchmark:
    """A module ``benchmarks.FOLDER.NAME`` with a function ``run``, as its text tells without an import."""

    #: dotted path from the root of the repository
    module: str
    #: the first line of its docstring
    title: str
    #: whether `meshmove bench` runs it unasked: not where the module says ``BY_DEFAULT = False``
    by_default: bool


class BenchmarkError(MeshmoveError):
    """The benchmarks are not there, are not called so, or failed."""


def folder() -> Path:
    """The benchmarks of the checkout that this package is installed from, or of the current folder.

    Raises
    ------
    BenchmarkError
        Neither has them: they are not part of the wheel.
    """
    for root in (Path(__file__).resolve().parents[2], Path.cwd()):
        if (root / "benchmarks" / "harness.py").is_file():
            return root / "benchmarks"
    raise BenchmarkError(
        "Expected to run in a checkout of the meshmove repository (its folder 'benchmarks' is not part of the "
        "installed package). Clone the repository or unpack the source distribution, and run `meshmove bench` there."
    )


def found() -> dict[str, Benchmark]:
    """The benchmarks by their names on the command line, in the order of their places.

    A benchmark is a module ``benchmarks/FOLDER/NAME.py`` that defines ``run``. It is called FOLDER where NAME is
    ``run``, NAME in the folder ``adapting``, and FOLDER-NAME in the others.
    """
    benchmarks = {}
    for path in sorted(folder().glob("*/*.py"), key=lambda p: (p.parent.name, p.stem != "run", p.stem)):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(n, ast.FunctionDef) and n.name == "run" for n in tree.body):
            title = (ast.get_docstring(tree) or "").partition("\n")[0].rstrip(".")
            benchmarks[_called(path)] = Benchmark(
                f"benchmarks.{path.parent.name}.{path.stem}", title, _by_default(tree)
            )
    return benchmarks


def _called(path: Path) -> str:
    if path.stem == "run":
        return path.parent.name
    name = path.stem if path.parent.name == "adapting" else f"{path.parent.name}-{path.stem}"
    return name.replace("_", "-")


def _by_default(tree: ast.Module) -> bool:
    """False if the module has the line ``BY_DEFAULT = False``."""
    set_to = {
        target.id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id == "BY_DEFAULT"
    }
    return bool(set_to.get("BY_DEFAULT", True))


def named(names: Sequence[str]) -> dict[str, Benchmark]:
    """Those of `names`, older names among them; all that run unasked if there are none.

    Raises
    ------
    BenchmarkError
        Unknown name, or no benchmarks here.
    """
    there = found()
    if not names:
        return {name: benchmark for name, benchmark in there.items() if benchmark.by_default}
    today = [RENAMED.get(name, name) for name in names]
    unknown = [name for name in today if name not in there]
    if unknown:
        raise BenchmarkError(f"Expected benchmarks among {', '.join(there)} (got {unknown[0]!r})")
    return {name: there[name] for name in today}


def run(name: str, quick: bool = False, record: bool = False) -> list[dict[str, Any]]:
    """Run a benchmark in a fresh interpreter; its table goes to standard output, its rows come back.

    `record`: its rows are kept in ``benchmarks/results`` too, in the file of this processor.

    Raises
    ------
    BenchmarkError
        Unknown name, or the benchmark failed.
    """
    (benchmark,) = named([name]).values()
    root = folder().parent
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary) / "rows.json"
        command = [
            sys.executable,
            "-m",
            benchmark.module,
            "--json",
            str(out),
            *["--quick"] * quick,
            *["--record"] * record,
        ]
        done = subprocess.run(command, cwd=root, env={**os.environ, **threads})
        if done.returncode or not out.is_file():
            raise BenchmarkError(f"Expected the benchmark {name!r} to finish (it stopped with code {done.returncode})")
        return json.loads(out.read_text())["rows"]


def judged(results: Mapping[str, Sequence[dict[str, Any]]]) -> list[tuple[str, ...]]:
    """Benchmark, row, what was measured, target, and "met" or "missed", of all that has a target."""
    rows = [(name, r) for name, rows in results.items() for r in rows if r.get("met") is not None]
    return [
        (name, str(r["name"]), str(r["measured"]), str(r["target"]), "met" if r["met"] else "missed")
        for name, r in rows
    ]
