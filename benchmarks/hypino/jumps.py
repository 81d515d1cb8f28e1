"""Conductivity that jumps, with formulas: layers, inclusions, shells, gaps, crossings, flow through layers, peaks.

    python -m benchmarks.hypino.jumps [--quick] [--seed SEED] [--limit PROBLEMS]

shows for each kind how many true errors of `project` lie below their estimates, and how far below, as
`benchmarks.hypino.hard` does for smooth coefficients.
"""

from __future__ import annotations

from benchmarks.harness import Rows, main
from benchmarks.hypino.hard import judge, option, summary

import numpy as np  # isort: skip

from benchmarks.hypino.hard_kinds import Array, Hard, Made, Rng
from meshmove.geometry import Disk, Rectangle
from meshmove.solvers.pde import Dirichlet, LinearPDE

__all__ = ["CALIBRATION", "KINDS", "SEED", "case", "run"]

BY_DEFAULT = False  #: minutes, for one figure

#: constants of the estimate were chosen on the one, the other is for the report
CALIBRATION, SEED = 7, 2_024
SQUARE = Rectangle((-1, -1), (1, 1), name="all")


def _grows(rng: Rng, level: int, easy: float, hard: float) -> float:
    """From `easy` at level 0 to `hard` at level 5, in equal factors, a little off."""
    return float(easy * (hard / easy) ** np.clip((level + rng.uniform(-0.4, 0.4)) / 5, 0, 1))


def _piecewise(ends: Array, k: Array, exponents: Array) -> Array:
    """Weights (pieces, 2) of exp(exponents (pieces, 2) (x - left end)): u and k u' are continuous."""
    weights = [np.array([1.0, 0.5])]
    for i in range(len(k) - 1):
        e = np.exp(exponents[i] * (ends[i + 1] - ends[i]))
        u, flux = weights[-1] @ e, k[i] * (weights[-1] * exponents[i]) @ e
        weights.append(np.linalg.solve([[1, 1], k[i + 1] * exponents[i + 1]], [u, flux]))
    return np.array(weights)


def _strips(ends: Array) -> list[Rectangle]:
    return [Rectangle((a, -1), (b, 1)) for a, b in zip(ends[:-1], ends[1:], strict=True)]


def layers(rng: Rng, level: int) -> Hard:
    """k phi'' = k w^2 phi in each of several strips, u = phi(x) cos(w y)."""
    n = 2 + level % 4
    ends = np.array([-1.0, *np.sort(rng.uniform(-0.9, 0.9, n - 1)), 1.0])
    k, w = 10.0 ** rng.uniform(-0.6 * (level + 1), 0.6 * (level + 1), n), rng.uniform(1, 4)
    rates = np.tile([w, -w], (n, 1))
    weights = _piecewise(ends, k, rates)
    size = np.abs(weights).max()

    def u(x: Array) -> Array:
        i = np.clip(np.searchsorted(ends, x[0], side="right") - 1, 0, n - 1)
        return (weights[i] / size * np.exp(rates[i] * (x[0] - ends[i])[:, None])).sum(1) * np.cos(w * x[1])

    pde = LinearPDE(
        SQUARE, divergence=dict(zip(_strips(ends), k.tolist(), strict=True)), conditions={"all": Dirichlet(u)}
    )
    return Hard(f"layers {n}, k {k.min():.1g} to {k.max():.1g}", pde, u, (tuple(ends[1:-1]), ()))


def _inclusion(name: str, center: Array, radius: float, k: float, order: int) -> Hard:
    """r^n cos(n t) disturbed by a disk."""
    share = (1 - k) / (1 + k)

    def u(x: Array) -> Array:
        z = x[0] - center[0] + 1j * (x[1] - center[1])
        r2 = np.maximum(np.abs(z) ** 2, 1e-30)
        return (z**order).real * np.where(r2 < radius**2, 1 + share, 1 + share * (radius**2 / r2) ** order)

    disk = Disk(tuple(center), radius)
    pde = LinearPDE(SQUARE, divergence={disk: k, SQUARE - disk: 1.0}, conditions={"all": Dirichlet(u)})
    edge = [tuple(c + s * radius for s in (-1, 1)) for c in center]
    return Hard(name, pde, u, (edge[0], edge[1]))


def inclusions(rng: Rng, level: int) -> Hard:
    radius = _grows(rng, level, 0.5, 0.02)
    k, n = 10.0 ** rng.uniform(-4, 4), int(rng.integers(1, 4))
    return _inclusion(f"inclusion r {radius:.2g}, k {k:.1g}", rng.uniform(-0.4, 0.4, 2), radius, k, n)


def gaps(rng: Rng, level: int) -> Hard:
    """A disk next to the boundary."""
    gap, radius, k = _grows(rng, level, 0.1, 0.003), 0.4, 10.0 ** rng.uniform(-3, 3)
    center = np.array([1 - radius - gap, rng.uniform(-0.3, 0.3)])
    return _inclusion(f"gap {gap:.2g}, k {k:.1g}", center, radius, k, int(rng.integers(1, 3)))


def shells(rng: Rng, level: int) -> Hard:
    """A thin ring of another k around a core: Re of (a z + b R^2 / conj z) in each part."""
    inner = rng.uniform(0.3, 0.5)
    outer = inner + _grows(rng, level, 0.3, 0.005)
    core, ring = 10.0 ** rng.uniform(-2, 2, 2)
    c, s = inner**2, outer**2
    # core a z; ring b z + d / z'; around z + e / z': values and fluxes at both circles, for (a, b, d, e)
    rows = [[c, -c, -1, 0], [core * c, -ring * c, ring, 0], [0, s, 1, -1], [0, ring * s, -ring, 1]]
    a, b, d, e = np.linalg.solve(rows, [0, 0, s, s])

    def u(x: Array) -> Array:
        r2 = np.maximum((x**2).sum(axis=0), 1e-30)
        return x[0] * np.select([r2 < c, r2 < s], [a + 0 * r2, b + d / r2], 1 + e / r2)

    small, large = Disk((0, 0), inner), Disk((0, 0), outer)
    regions = {small: core, large - small: ring, SQUARE - large: 1.0}
    pde = LinearPDE(SQUARE, divergence=regions, conditions={"all": Dirichlet(u)})
    edges = (-outer, -inner, inner, outer)
    return Hard(f"shell {outer - inner:.2g}, k {core:.1g}, {ring:.1g}", pde, u, (edges, edges))


def crossings(rng: Rng, level: int) -> Hard:
    """r^g mu(t) where four quarters of two materials meet (Kellogg, Applicable Analysis 4, 1975)."""
    g = _grows(rng, level, 0.8, 0.1)
    rho, sigma, k = np.pi / 4, np.pi / 4 - np.pi / (2 * g), np.tan(np.pi * g / 4) ** -2
    at = rng.uniform(-0.3, 0.3, 2)

    def u(x: Array) -> Array:
        x = x - at[:, None]
        t = np.mod(np.arctan2(x[1], x[0]), 2 * np.pi)
        parts = [
            np.cos((np.pi / 2 - sigma) * g) * np.cos((t - np.pi / 2 + rho) * g),
            np.cos(rho * g) * np.cos((t - np.pi + sigma) * g),
            np.cos(sigma * g) * np.cos((t - np.pi - rho) * g),
            np.cos((np.pi / 2 - rho) * g) * np.cos((t - 1.5 * np.pi - sigma) * g),
        ]
        return np.hypot(*x) ** g * np.select([t <= np.pi / 2, t <= np.pi, t <= 1.5 * np.pi], parts[:3], parts[3])

    (a, b), quarters = at, {}
    for low, high, value in (
        ((a, b), (1, 1), k), ((-1, b), (a, 1), 1.0), ((-1, -1), (a, b), k), ((a, -1), (1, b), 1.0)
    ):  # fmt: skip
        quarters[Rectangle(low, high)] = float(value)
    pde = LinearPDE(SQUARE, divergence=quarters, conditions={"all": Dirichlet(u)})
    return Hard(f"crossing r^{g:.2f}", pde, u, ((float(a),), (float(b),)))


def flows(rng: Rng, level: int) -> Hard:
    """k u'' = u' in two strips: a layer at the end of the one that conducts badly."""
    ends = np.array([-1.0, rng.uniform(-0.5, 0.5), 1.0])
    k = np.array([rng.uniform(0.5, 2), _grows(rng, level, 0.3, 3e-3)])
    # u = p_i + q_i exp((x - right end) / k_i); q by u(-1) = 1, u(1) = 0; flux k u' - u is continuous: p is one
    q = np.linalg.solve(
        [[1, -np.exp((ends[1] - 1) / k[1]), 0], [np.exp((-1 - ends[1]) / k[0]), 0, 1], [0, 1, 1]], [0, 1, 0]
    )
    q0, q1, p = q

    def u(x: Array) -> Array:
        left = p + q0 * np.exp(np.minimum(x[0] - ends[1], 0) / k[0])
        return np.where(x[0] < ends[1], left, p + q1 * np.exp((x[0] - 1) / k[1]))

    regions = dict(zip(_strips(ends), k.tolist(), strict=True))
    pde = LinearPDE(SQUARE, divergence=regions, ux=1.0, conditions={"all": Dirichlet(u)})
    return Hard(f"flow, k {k[1]:.1g}", pde, u, ((float(ends[1]), 1.0), ()))


def peaks(rng: Rng, level: int) -> Hard:
    """u = w / k, w = (x - s) exp(-r^2 / d^2) zero at the interface."""
    s, d, k = rng.uniform(-0.3, 0.3), _grows(rng, level, 0.5, 0.01), 10.0 ** rng.uniform(0.5, 3)
    at = np.array([s + 0.7 * d, rng.uniform(-0.5, 0.5)])

    def e(x: Array) -> Array:
        return np.exp(-((x - at[:, None]) ** 2).sum(axis=0) / d**2)

    def u(x: Array) -> Array:
        return (x[0] - s) * e(x) / np.where(x[0] < s, 1.0, k)

    def source(x: Array) -> Array:
        r2 = ((x - at[:, None]) ** 2).sum(axis=0)
        return -e(x) * ((x[0] - s) * (4 * r2 / d**4 - 4 / d**2) - 4 * (x[0] - at[0]) / d**2)

    left, right = _strips(np.array([-1.0, s, 1.0]))
    pde = LinearPDE(SQUARE, divergence={left: 1.0, right: k}, source=source, conditions={"all": Dirichlet(u)})
    return Hard(f"peak {d:.2g}, k {k:.1g}", pde, u, ((float(s), float(at[0])), (float(at[1]),)))


KINDS: dict[str, Made] = {
    "layers": layers,
    "inclusions": inclusions,
    "gaps": gaps,
    "shells": shells,
    "crossings": crossings,
    "flow through layers": flows,
    "peaks": peaks,
}


def case(k: int, seed: int = SEED) -> Hard:
    """The k-th problem: kinds take turns."""
    kind = list(KINDS)[k % len(KINDS)]
    return KINDS[kind](np.random.default_rng([seed, k]), k // len(KINDS))


def run(quick: bool = False, seed: int = SEED, n: int | None = None) -> Rows:
    """A row for each kind, and one for all."""
    return summary(KINDS, [judge(case(k, seed)) for k in range(n or len(KINDS) * (1 if quick else 6))])


if __name__ == "__main__":
    chosen, limit = option("--seed", SEED), option("--limit", None)
    main(lambda quick: run(quick, chosen or 0, limit))
