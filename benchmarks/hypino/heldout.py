"""200 random linear problems that no network was trained on, each with a reference, and how projection does on them.

Half are elliptic, a quarter parabolic, a quarter hyperbolic, with mixed Dirichlet and Neumann conditions. Two thirds
are manufactured: random sums, products and compositions of x, sin, cos, tanh, the logistic function and 1/(1 + x^2).
The others have no formula: random sources and data, against converged finite elements.

Domains are boxes with one to four holes (disks, ellipses, polygons, triangles). Hyperbolic problems have none: waves
leave the late side of a hole in space and time, and without a velocity there the values do not determine them. Nor do
problems in time that have no formula, of either kind, for their references are stepped in time.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.harness import CPU, main, row

import numpy as np  # isort: skip
import shapely
from numpy.typing import NDArray
from shapely.affinity import rotate, scale, translate

from benchmarks.hypino.converged import cached, converged, relative_l2
from benchmarks.hypino.manufactured import Jet, random_solution
from meshmove.geometry import Disk, Ellipse, Polygon, Rectangle, Triangle
from meshmove.geometry.domains import Domain
from meshmove.solvers import project
from meshmove.solvers.pde import Dirichlet, Interval, LinearPDE, Neumann, TimeInterval

__all__ = ["Case", "KINDS", "case", "cases", "judged"]

BY_DEFAULT = False  #: a part of benchmarks.hypino.run
Array = NDArray[np.float64]
Field = Callable[[Array], Array]

SEED = 20_240
KINDS = ("elliptic", "elliptic", "parabolic", "elliptic", "elliptic", "hyperbolic", "parabolic", "hyperbolic")


@dataclass(frozen=True)
class Case:
    """A problem, what it is called, and its solution where there is a formula."""

    name: str
    pde: LinearPDE
    exact: Field | None

    def reference(self, x: Array) -> tuple[Array, float]:
        """Values (n,) at points, and their estimated relative error."""
        if self.exact is not None:
            return self.exact(x), 0.0
        return cached(self.name, x, lambda: converged(self.pde, x))


def case(k: int, seed: int = SEED) -> Case:
    """The k-th problem; another seed gives another set."""
    rng = np.random.default_rng([seed, k])
    kind, manufactured = KINDS[k % 8], k % 3 != 2
    while True:
        made = (_manufactured if manufactured else _free)(rng, kind)
        if made is not None:
            return Case(f"{seed}-{k:03d}-{kind}-{'formula' if manufactured else 'free'}", *made)


def cases(n: int = 200) -> Iterator[Case]:
    """The first n problems."""
    return (case(k) for k in range(n))


# -- geometry -------------------------------------------------------------------------------------------------------


def _hole(rng: np.random.Generator, name: str) -> tuple[Domain, shapely.Polygon]:
    center, r = rng.uniform(-0.8, 0.8, 2), rng.uniform(0.08, 0.32)
    turn = rng.uniform(0, 2 * np.pi)
    shape = rng.integers(4)
    at = (float(center[0]), float(center[1]))
    if shape == 0:
        return Disk(at, float(r), name), shapely.Point(at).buffer(r)
    if shape == 1:
        ratio = rng.uniform(0.4, 0.9)
        drawn = scale(shapely.Point(0, 0).buffer(1), r, r * ratio)
        drawn = rotate(drawn, turn, (0, 0), use_radians=True)
        return Ellipse(at, (float(r), float(r * ratio)), turn, name), translate(drawn, *at)
    n = 3 if shape == 2 else int(rng.integers(4, 7))
    angle = turn + (np.arange(n) + rng.uniform(-0.25, 0.25, n)) * 2 * np.pi / n
    radius = r * rng.uniform(0.7, 1.0, n)
    p = [(float(at[0] + a * np.cos(t)), float(at[1] + a * np.sin(t))) for a, t in zip(radius, angle, strict=True)]
    return (Triangle(*p, name) if n == 3 else Polygon(tuple(p), name)), shapely.Polygon(p)


def _holes(rng: np.random.Generator, count: int, gap: float = 0.06) -> list[Domain]:
    """Holes in [-1, 1]^2, at least `gap` from each other and from its sides."""
    found: list[Domain] = []
    taken: list[shapely.Polygon] = []
    inner = shapely.box(-1 + gap, -1 + gap, 1 - gap, 1 - gap)
    while len(found) < count:
        shape, drawn = _hole(rng, f"hole{len(found)}")
        if inner.contains(drawn) and all(drawn.distance(t) > gap for t in taken):
            found.append(shape)
            taken.append(drawn)
    return found


SIDES = ("bottom", "right", "top", "left")


def _box() -> Rectangle:
    return Rectangle((-1, -1), (1, 1), names=SIDES)


# -- operators ------------------------------------------------------------------------------------------------------


def _operator(rng: np.random.Generator, kind: str) -> dict[str, float | Field]:
    """One to three terms beside those that the kind needs, coefficients within [-2, 2]."""
    some = lambda low=0.2, high=2.0: float(rng.uniform(low, high))  # noqa: E731
    terms: dict[str, float | Field]
    if kind == "elliptic":
        a = some()
        terms = {"uxx": -a, "uyy": -a if rng.random() < 0.5 else -some()}
        if rng.random() < 0.2:
            tilt = float(rng.uniform(0.1, 0.5))
            terms["uxx"] = lambda x, a=a, t=tilt: -a * (1 + t * np.sin(2 * x[0] + x[1]))
    else:
        terms = {"ut": 1.0, "uxx": -some(0.05, 1.0)} if kind == "parabolic" else {"utt": 1.0, "uxx": -some(0.2, 4.0)}
    for name, share in (("ux", 0.3), ("uy" if kind == "elliptic" else "", 0.3), ("u", 0.4)):
        if name and rng.random() < share:
            terms[name] = float(rng.uniform(-2, 2)) if name != "u" else float(rng.uniform(-0.5, 2))
    if kind == "elliptic" and rng.random() < 0.1:
        terms["u"] = float(rng.uniform(10, 60))
    return terms


def _applied(terms: dict[str, float | Field], jet: Jet, x: Array) -> Array:
    by_name = {"u": jet.u, "ux": jet.x, "uy": jet.y, "ut": jet.y, "uxx": jet.xx, "uyy": jet.yy, "utt": jet.yy}
    return sum((c(x) if callable(c) else c) * by_name[n] for n, c in terms.items())  # type: ignore[return-value]


# -- problems -------------------------------------------------------------------------------------------------------


def _manufactured(rng: np.random.Generator, kind: str) -> tuple[LinearPDE, Field] | None:
    domain = _box() - _holes(rng, int(rng.integers(1, 5))) if kind != "hyperbolic" else _box()
    solution = random_solution(rng)
    terms = _operator(rng, kind)
    line = np.linspace(-1, 1, 224)
    x = np.stack([np.tile(line, 224), np.repeat(line, 224)])
    x = x[:, domain.contains(x)]
    jet = solution(x)
    source = _applied(terms, jet, x)
    if np.abs(jet.u).max() > 10 or jet.u.std() < 0.1 or np.abs(source).max() > 1e4:
        return None
    value: Field = lambda x: solution(x).u  # noqa: E731
    conditions: dict[str, Dirichlet | Neumann] = {}
    for name in domain.boundary_names:
        if kind != "elliptic" and name in ("bottom", "top"):
            continue
        # a hole in space and time is no place for du/dn
        neumann = rng.random() < 0.4 and (kind == "elliptic" or not name.startswith("hole"))
        conditions[name] = Neumann(_slope(domain, solution)) if neumann else Dirichlet(value)
    if kind == "elliptic" and not any(isinstance(c, Dirichlet) for c in conditions.values()):
        conditions["left"] = Dirichlet(value)
    more: dict = {}
    if kind != "elliptic":
        more = {"time": "y", "initial": value}
        if kind == "hyperbolic":
            more["velocity"] = lambda x: solution(x).y
    pde = LinearPDE(domain, **terms, source=lambda x: _applied(terms, solution(x), x), conditions=conditions, **more)
    return pde, value


def _slope(domain: Domain, solution: Callable[[Array], Jet]) -> Field:
    def slope(x: Array) -> Array:
        jet, normal = solution(x), domain.normal(x)
        return jet.x * normal[0] + jet.y * normal[1]

    return slope


def _smooth(rng: np.random.Generator, waves: float, terms: int = 6) -> Field:
    k, shift = rng.uniform(-waves, waves, (terms, 2)), rng.uniform(0, 2 * np.pi, terms)
    size = rng.normal(size=terms) / np.sqrt(terms)
    return lambda x: size @ np.sin(k @ x + shift[:, None])


def _bumps(rng: np.random.Generator) -> Field:
    at, width = rng.uniform(-0.9, 0.9, (3, 2)), rng.uniform(0.08, 0.3, 3)
    size = rng.uniform(-100, 100, 3)
    parts = list(zip(size, at, width, strict=True))
    return lambda x: sum(s * np.exp(-((x[0] - a) ** 2 + (x[1] - b) ** 2) / (2 * w**2)) for s, (a, b), w in parts)


def _free(rng: np.random.Generator, kind: str) -> tuple[LinearPDE, None] | None:
    if kind != "elliptic":
        return _evolution(rng, kind)
    domain = _box() - _holes(rng, int(rng.integers(1, 5)))
    terms = _operator(rng, kind)
    terms["u"] = abs(terms.get("u", 0.0))  # type: ignore[arg-type]
    drawn = rng.integers(3)
    source: float | Field = (
        float(rng.uniform(-10, 10)) if drawn == 0 else _bumps(rng) if drawn == 1 else _scaled(_smooth(rng, 8.0), 20.0)
    )
    outer: float | Field = _smooth(rng, 3.0) if rng.random() < 0.5 else float(rng.uniform(-1, 1))
    conditions: dict[str, Dirichlet | Neumann] = {s: Dirichlet(outer) for s in SIDES}
    if rng.random() < 0.3:
        conditions[SIDES[int(rng.integers(4))]] = Neumann(0.0)
    for name in domain.boundary_names:
        if name.startswith("hole"):
            value = float(rng.uniform(-1, 1))
            conditions[name] = Dirichlet(value) if rng.random() < 0.5 else Neumann(value)
    return LinearPDE(domain, **terms, source=source, conditions=conditions), None


def _scaled(f: Field, by: float) -> Field:
    return lambda x: by * f(x)


def _evolution(rng: np.random.Generator, kind: str) -> tuple[LinearPDE, None]:
    """On an interval; data meet at the corners: all vanish at the ends at the start, to the order that matters."""
    length, end = float(rng.uniform(1, 3)), float(rng.uniform(0.5, 2))
    modes, size = np.arange(1, 5), rng.normal(size=(2, 4)) / np.arange(1, 5)
    wave = lambda x, a: a @ np.sin(np.pi * modes[:, None] * x[0] / length)  # noqa: E731
    smooth = _smooth(rng, 4.0)
    start: Field = lambda x: wave(x, size[0])  # noqa: E731
    source: Field = lambda x: 5 * smooth(x) * (x[0] * (length - x[0])) ** 2 / length**4 * 16 * x[1] ** 2  # noqa: E731
    terms = _operator(rng, kind)
    terms.pop("ux", None)  # keeps sines compatible with the ends
    more: dict = {"velocity": lambda x: wave(x, size[1])} if kind == "hyperbolic" else {}
    ends = {"left": Dirichlet(), "right": Dirichlet()}
    box = {"time": TimeInterval(0, end), "initial": start, "conditions": ends, **more}
    return LinearPDE(Interval(0, length), **terms, source=source, **box), None


# -- the benchmark --------------------------------------------------------------------------------------------------


def judged(k: int, seed: int = SEED) -> dict[str, float]:
    """Error, estimate and seconds of the k-th problem; its reference's own error."""
    it = case(k, seed)
    unit = it.pde.unit
    x = unit.to_physical(unit.interior(2000, seed=99).points)
    u, doubt = it.reference(x)
    again = case(k, seed).pde  # nothing computed before the clock starts
    start = CPU()
    solution = project(again)
    seconds = CPU() - start
    return {
        "error": relative_l2(solution(x), u),
        "estimate": solution.error_estimate,
        "seconds": seconds,
        "doubt": doubt,
        "formula": it.exact is not None,
    }


def run(quick: bool = False) -> list[dict[str, object]]:
    """All problems, by kind."""
    n = 24 if quick else 200
    found: dict[str, list[dict[str, float]]] = {}
    for k in range(n):
        one = judged(k)
        for group in (KINDS[k % 8], "formula" if one["formula"] else "no formula", "all"):
            found.setdefault(group, []).append(one)
    rows = []
    for group, ones in found.items():
        share = float(np.mean([o["error"] <= 1e-3 for o in ones]))
        seconds = statistics.median(o["seconds"] for o in ones)
        rows.append(
            row(
                f"{group} ({len(ones)})",
                share,
                0.9,
                share >= 0.9,
                median_error=statistics.median(o["error"] for o in ones),
                median_seconds=seconds,
                longest=max(o["seconds"] for o in ones),
                covered=float(np.mean([o["error"] <= max(o["estimate"], o["doubt"]) for o in ones])),
                factor=statistics.median(o["estimate"] / max(o["error"], 1e-300) for o in ones),
                reference=max(o["doubt"] for o in ones),
            )
        )
    return rows


if __name__ == "__main__":
    main(run)
