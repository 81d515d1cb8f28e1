"""README's figures, made from what was recorded: ``python -m benchmarks.readme [--check | --missing | --all]``.

`--missing` lists the commands that were not recorded with a commit, `--all` all of them, one a line, for an idle
machine: ``python -m benchmarks.readme --missing | sh``. A figure that was never recorded keeps the words of before,
in a table of its own, until it is.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.harness import RESULTS

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- figures: python -m benchmarks.readme -->\n", "<!-- end of figures -->\n"
HEAD = "| what | measured | command | when, at commit |\n|---|---|---|---|\n"
BEFORE = "\nNot yet recorded so, and measured at the commits that introduced them:\n\n"
HEAD_BEFORE = "| what | measured | command |\n|---|---|---|\n"

#: what a benchmark measured by the names of its rows; "NAME: COLUMN" for its further columns
Values = Mapping[str, Any]


class Figure(NamedTuple):
    """A row: what was measured by which command, how its rows are put into words, and the words of before.

    `words` is None for what takes longer than a few minutes or another machine.
    """

    what: str
    command: str
    words: Callable[[Values], str] | None
    before: str | None = None

    @property
    def line(self) -> str:
        """The command as a shell takes it."""
        return self.command if self.command.startswith("bash ") else f"python -m {self.command}"


def _others(v: Values) -> str:
    ends = [(name, x) for name, x in v.items() if name.endswith(" 40x40")]
    rest = sorted(x for name, x in ends if name.split()[0] not in ("ring", "peak"))
    return f"{rest[0]:.3g} to {rest[-1]:.3g} times less, {rest[len(rest) // 2]:.3g} in the median"


def _ring(v: Values) -> str:
    runs = [f"ring10 80x80, {effort}" for effort in (0.1, 0.3)]
    return ", ".join(f"{v[f'{run}: imbalance']:.3f} in {v[f'{run}: seconds']:.2f} s" for run in runs)


def _growth(v: Values) -> str:
    ways = [f"{v[f'by {w}: a million, seconds']:.0f} s, {v[f'by {w}: a million, GB']:.1f} GB" for w in GROWTH]
    worst = max(v[f"by {w}: exponent of the time"] for w in GROWTH)
    return f"{'; '.join(ways)}; time grows like n to the {worst:.2f}"


def _medians(v: Values) -> str:
    def of(name: str, what: str) -> float:
        return next(x for k, x in v.items() if k.startswith(f"{what}, network {name} / classical"))

    words = [[of(name, what) for what in ("L2 error", "H1 error", "time")] for name in ("alone", "with steps")]
    (l2, h1, time), (l2_steps, h1_steps, time_steps) = words
    return (
        f"{l2:.2f} and {h1:.2f} in {time:.2f} of the time; "
        f"with 8 steps of alignment {l2_steps:.2f} and {h1_steps:.2f} in {time_steps:.2f}"
    )


def _task(v: Values) -> str:
    alone, classical = (v[f"Poisson task 15x15, {m}: mean cut, least; CPU ms"] for m in ("alone", "classical"))
    return f"{alone}; the classical default {classical}"


def _seven(v: Values) -> str:
    names = [k.removeprefix("projection ") for k in v if k.startswith("projection ") and ":" not in k]
    seconds = [v[f"projection {n}: seconds"] for n in names]
    errors = ", ".join(f"{n} {v[f'projection {n}']:.0e}" for n in names)
    return f"{errors}, in {min(seconds):.1f} to {max(seconds):.1f} s"


def _hard(v: Values) -> str:
    name = next(k for k in v if k.startswith("all (") and ":" not in k)
    return f"above the true one in {100 * v[name]:.1f} %, {v[f'{name}: factor']:.2g} times it in the median"


FEM, SUITE, CUBE, RING, GROW = (f"benchmarks.adapting.{name}" for name in ("fem", "suite", "cube", "ring", "growth"))
GROWTH = ("monitor", "field")
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
    Figure("imbalance on a thin ring, 80×80, `effort` 0.1 and 0.3", RING, _ring, "0.043 in 0.15 s, 0.030 in 0.35 s"),
    Figure(
        "a hundred jittered Delaunay meshes of squares, L-shapes, channels with holes",
        SUITE,
        lambda v: (
            f"median imbalance {v['median imbalance']:.2g}, worst {v['worst imbalance']:.2g}, "
            f"{v['median time per 1,000 nodes (s)']:.2g} s per 1,000 nodes (median), {v['inverted cells']} inverted"
        ),
        "median imbalance 0.015, worst 0.13, 0.13 s per 1,000 nodes (median), none inverted",
    ),
    Figure(
        "162,000 tetrahedra, a shell",
        CUBE,
        lambda v: f"imbalance {next(x for k, x in v.items() if k.endswith('imbalance'))} in {v['seconds']:.2g} s",
        "imbalance 1.18 → 0.057 in 12 s",
    ),
    Figure(
        "a million triangles: a given monitor; a field, by default",
        GROW,
        _growth,
        "60 s, 1.6 GB; 59 s, 2.3 GB (other jobs running); time grows no faster than n from ten thousand on",
    ),
    Figure(
        "the neural mover for monitors alone on held-out meshes and monitors, 10,080 pairs",
        "benchmarks.dmm.pairs",
        None,
        "none inverted; a step cut by more than half in 0.4 % of the plane ones, in none in space",
    ),
    Figure(
        '`mover="dmm"`, the network alone (`effort=0.1`), on 25 samples of a published Poisson task: mean and '
        "least cut of the L2 error",
        "benchmarks.dmm.aligning",
        _task,
        "41.2 and 9.0 % in 48 ms, the classical default 41.9 and 3.8 % in 118 ms (busy)",
    ),
    Figure(
        "the same on 23 problems at 40×40: L2 and H1 error to that of the classical default, medians",
        "benchmarks.dmm.aligning",
        _medians,
        "1.13 and 1.09 in 0.41 of the time; with 8 steps of alignment 1.03 and 1.06 in 0.51",
    ),
    Figure(
        "the same for 64 meshes of 2,500 nodes on an H200, to the classical default on one core",
        "bash benchmarks/accelerator/run.sh",
        None,
        "462 times faster",
    ),
    Figure(
        "HyPINO's seven benchmarks by projection, relative L2 error against converged references",
        "benchmarks.hypino.run --only projection",
        _seven,
        "HT 2e-15, HZ 4e-9, WV 2e-8, PS-C 3e-8, HZ-G 9e-7, PS-L 8e-6, PS-G 2e-5, in 0.1 to 2.3 s on a busy core",
    ),
    Figure(
        "200 held-out linear problems of all kinds by projection",
        "benchmarks.hypino.run --only held-out",
        None,
        "96 % to 1e-3, in the median to 4e-7 in 3.2 s of a busy processor",
    ),
    Figure(
        "the estimated error of a projection on 156 hard problems: layers, gaps, peaks, resonances, corners, waves",
        "benchmarks.hypino.hard --seed 1127 --limit 156",
        _hard,
        "above the true one in 97.4 %, 13 times it in the median",
    ),
)


def recorded() -> dict[str, dict[str, Any]]:
    """By command the newest record of any processor, with the ``processor`` it is of."""
    newest: dict[str, dict[str, Any]] = {}
    for file in sorted(RESULTS.glob("*.json")):
        for command, found in json.loads(file.read_text()).items():
            if command not in newest or found["day"] > newest[command]["day"]:
                newest[command] = {**found, "processor": file.stem}
    return newest


def values_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Measured values by the names of rows, further columns by "NAME: COLUMN"; see `Values`.

    >>> values_of([{"name": "a", "measured": 1, "seconds": 2}, {"case": "b", "effort": 0.1, "imbalance": 3}])
    {'a': 1, 'a: seconds': 2, 'b, 0.1: imbalance': 3}
    """
    out: dict[str, Any] = {}
    for row in rows:
        if "name" in row:
            out[row["name"]] = row["measured"]
        name = row.get("name", f"{row.get('case')}, {row.get('effort')}")
        known = ("name", "measured", "target", "met", "case", "effort")
        out |= {f"{name}: {column}": value for column, value in row.items() if column not in known}
    return out


def block() -> str:
    """Both tables: of the figures whose benchmarks are recorded, and of the others."""
    known, made, before = recorded(), "", ""
    for figure in FIGURES:
        found = known.get(figure.command)
        if found is not None and figure.words is not None:
            when = ", ".join(filter(None, (found["day"], found.get("commit"))))
            words = figure.words(values_of(found["rows"]))
            made += f"| {figure.what} | {words} | `{figure.line}` | {when} |\n"
        elif figure.before is not None:
            before += f"| {figure.what} | {figure.before} | `{figure.line}` |\n"
    return HEAD + made + (BEFORE + HEAD_BEFORE + before if before else "")


def to_record(every: bool) -> Iterator[str]:
    """Commands that record the figures: all, or those of which no commit is known."""
    known = recorded()
    for command in dict.fromkeys(f.command for f in FIGURES if f.words is not None):
        if every or not known.get(command, {}).get("commit"):
            yield f"python -m {command} --record"


def written(text: str) -> str:
    """README's text with the tables as they should be."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + block() + END + rest.split(END)[1]


def main() -> int:
    if {"--missing", "--all"} & set(sys.argv[1:]):
        sys.stdout.write("".join(f"{line}\n" for line in to_record("--all" in sys.argv[1:])))
        return 0
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
