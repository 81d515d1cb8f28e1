"""README's table of figures, made from what was recorded: ``python -m benchmarks.readme [--check]``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.harness import RESULTS

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- figures: python -m benchmarks.readme -->\n", "<!-- end of figures -->\n"
HEAD = "| what | measured | command | when |\n|---|---|---|---|\n"

#: measured values of a benchmark by the names of their rows
Values = Mapping[str, Any]


class Figure(NamedTuple):
    """A row of the table: what was measured, by which module, and how its rows are put into words."""

    what: str
    module: str
    words: Callable[[Values], str]


def _others(v: Values) -> str:
    rest = sorted(x for name, x in v.items() if name.endswith(" 40x40") and name.split()[0] not in ("ring", "peak"))
    return f"{rest[0]:.3g} to {rest[-1]:.3g} times less, {rest[len(rest) // 2]:.3g} in the median"


FEM, SUITE, CUBE = (f"benchmarks.adapting.{name}" for name in ("fem", "suite", "cube"))
FIGURES = (
    Figure(
        "L2 error of P1 finite elements, three rounds of `adapt_loop` with defaults, against the uniform mesh: "
        "tanh(60(r² − 0.08)), 40×40 and 80×80",
        FEM,
        lambda v: f"{v['ring 40x40']:.3g} and {v['ring 80x80']:.3g} times less",
    ),
    Figure(
        "the same for exp(−200 dist²)", FEM, lambda v: f"{v['peak 40x40']:.3g} and {v['peak 80x80']:.3g} times less"
    ),
    Figure("the same for eleven other problems, from smooth to layered, at 40×40", FEM, _others),
    Figure(
        "linear interpolation of a smooth bell, 40×40, uniform: 0.0142",
        FEM,
        lambda v: f"{v['bell, interpolation']:.2g}",
    ),
    Figure(
        "a hundred jittered Delaunay meshes of squares, L-shapes, channels with holes",
        SUITE,
        lambda v: (
            f"median imbalance {v['median imbalance']:.2g}, worst {v['worst imbalance']:.2g}, "
            f"{v['median time per 1,000 nodes (s)']:.2g} s per 1,000 nodes (median), {v['inverted cells']} inverted"
        ),
    ),
    Figure(
        "162,000 tetrahedra, a shell",
        CUBE,
        lambda v: f"imbalance {next(x for k, x in v.items() if 'imbalance' in k)} in {v['seconds']:.2g} s",
    ),
)


def recorded() -> dict[str, dict[str, Any]]:
    """By module the newest record of any processor, with the ``processor`` it is of."""
    newest: dict[str, dict[str, Any]] = {}
    for file in sorted(RESULTS.glob("*.json")):
        for module, found in json.loads(file.read_text()).items():
            if module not in newest or found["day"] > newest[module]["day"]:
                newest[module] = {**found, "processor": file.stem}
    return newest


def block() -> str:
    """The table, of the figures whose benchmarks are recorded."""
    known, lines = recorded(), []
    for figure in FIGURES:
        if figure.module in known:
            found = known[figure.module]
            values = {row["name"]: row["measured"] for row in found["rows"]}
            words = figure.words(values)
            lines.append(f"| {figure.what} | {words} | `python -m {figure.module}` | {found['day']} |\n")
    return HEAD + "".join(lines)


def written(text: str) -> str:
    """README's text with the table as it should be."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + block() + END + rest.split(END)[1]


def main() -> int:
    text = README.read_text(encoding="utf-8")
    if written(text) == text:
        return 0
    if "--check" in sys.argv[1:]:
        print("README's figures are not those recorded: python -m benchmarks.readme")
        return 1
    README.write_text(written(text), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
