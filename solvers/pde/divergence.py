r"""-div(k grad u) as a sum of terms: k differentiated, and refused where it jumps within a region.

-div(k grad u) = -sum_ij k_ij u_ij - sum_j (sum_i d_i k_ij) u_j
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from meshmove.geometry.domains import Domain
from meshmove.geometry.given import called

from .functions import Array, Function, ProblemError, checked, evaluate, is_number
from .terms import TABLE

__all__ = ["Conductivity", "Tensor", "check_flow", "check_tensor", "flowing", "tensor_of"]

#: a number, a function, 2 by 2 of these, or a function with values (2, 2, n); or a dict of regions and these
Conductivity = Any
Tensor = list[list[Function]]

#: step of difference quotients relative to the box: at fourth order rounding and truncation are near 1e-12
_STEP = 2e-4
#: factor by which slopes over an eighth of the step may be larger than over the step; at kinks they overshoot by 1.17
_STEEPER = 1.2
#: pairs of points between which jumps are looked for, and how far they are apart relative to the box
_PAIRS, _APART = 4000, 0.03
_WHAT = "divergence"


def check_flow(terms: Mapping[str, Function], timed: bool) -> None:
    """Refuses -div(k grad u) in time, and beside second derivatives."""
    if timed:
        raise ProblemError(
            "Expected divergence= in two dimensions of space (got a problem in time); state -(k ux)x by uxx=-k, ux=-k'"
        )
    both = [t.name for t in TABLE if t.order > 1 and (callable(terms[t.name]) or terms[t.name] != 0)]
    if both:
        raise ProblemError(f"Expected either divergence= or second derivatives (got both: {', '.join(both)})")


def flowing(tensor: Tensor, terms: Mapping[str, Function], domain: Domain) -> dict[str, Function]:
    """All terms of an operator with -div(k grad u) added."""
    low, high = np.array(domain.bounds)
    step = _STEP * (high - low) / 2
    (a, b), (c, d) = tensor
    out = dict(terms)
    out["uxx"], out["uyy"] = _combined(((-1.0, a),)), _combined(((-1.0, d),))
    out["uxy"] = _combined(((-1.0, b), (-1.0, c)))
    out["ux"] = _combined(((1.0, terms["ux"]), (-1.0, _slope(a, 0, step)), (-1.0, _slope(c, 1, step))))
    out["uy"] = _combined(((1.0, terms["uy"]), (-1.0, _slope(b, 0, step)), (-1.0, _slope(d, 1, step))))
    return out


def tensor_of(k: Conductivity) -> Tensor:
    """2 by 2 numbers and functions.

    Raises
    ------
    ProblemError
        k is none of what is expected.
    """
    if is_number(k):
        k = checked(k, _WHAT)
        return [[k, 0.0], [0.0, k]]
    if callable(k):
        k = checked(k, _WHAT)
        if called(k, np.zeros((2, 3)) + 0.5, _WHAT, ProblemError).ndim < 2:
            return [[k, 0.0], [0.0, k]]
        return [[_entry(k, i, j) for j in (0, 1)] for i in (0, 1)]
    try:
        rows = [list(row) for row in k]
    except TypeError:
        rows = []
    if [len(row) for row in rows] != [2, 2]:
        raise ProblemError(
            f"Expected a number, a function, or 2 by 2 of these for divergence= (got {k!r}); k is what stands in "
            "-div(k grad u)"
        )
    return [[checked(entry, _WHAT) for entry in row] for row in rows]


def _entry(k: Callable[[Array], Any], i: int, j: int) -> Callable[[Array], Array]:
    def entry(x: Array) -> Array:
        values = called(k, x, _WHAT, ProblemError)
        if values.shape not in ((2, 2), (2, 2, 1), (2, 2, x.shape[1])):
            raise ProblemError(f"Expected values (2, 2, {x.shape[1]}) from divergence (got shape {values.shape})")
        return np.broadcast_to(values[i, j], x.shape[1])

    return entry


def _combined(parts: tuple[tuple[float, Function], ...]) -> Function:
    """A weighted sum of numbers and functions; a number where all are numbers."""
    fixed = sum(a * f for a, f in parts if not callable(f))
    moving = [(a, f) for a, f in parts if callable(f)]
    if not moving:
        return float(fixed)
    return lambda x: fixed + sum(a * evaluate(f, x, _WHAT) for a, f in moving)


def _slope(f: Function, axis: int, step: Array) -> Function:
    """df/dx_axis by central differences of fourth order."""
    if not callable(f):
        return 0.0
    h = float(step[axis])
    by = np.zeros((2, 1))
    by[axis] = h

    def slope(x: Array) -> Array:
        near, far = (evaluate(f, x + k * by, _WHAT) - evaluate(f, x - k * by, _WHAT) for k in (1, 2))
        return (8 * near - far) / (12 * h)

    return slope


def check_tensor(tensor: Tensor, domain: Domain) -> None:
    """Refuses a k that is not positive definite, or that jumps in the domain."""
    low, high = np.array(domain.bounds)
    x = domain.sample_interior(_PAIRS, seed=0)
    angle = np.random.default_rng(0).uniform(0, 2 * np.pi, x.shape[1])
    y = x + _APART * (high - low)[:, None] / 2 * np.stack([np.cos(angle), np.sin(angle)])
    inside = domain.contains(y)
    x, y = x[:, inside], y[:, inside]
    (a, b), (c, d) = ([evaluate(f, x, _WHAT) for f in row] for row in tensor)
    bad = np.flatnonzero(~((a > 0) & (4 * a * d > (b + c) ** 2)))
    if len(bad):
        at = ", ".join(f"{v:.4g}" for v in x[:, bad[0]])
        raise ProblemError(
            f"Expected k of -div(k grad u) positive (definite) (got another at {len(bad)} of {x.shape[1]} points, the "
            f"first ({at})); the sign of -div is part of divergence="
        )
    for f in (f for row in tensor for f in row if callable(f)):
        steepest = _check_smooth(f, x, y)
        _check_slopes(f, np.concatenate([x, steepest], axis=1), _STEP * (high - low) / 2)


def _check_smooth(f: Function, x: Array, y: Array) -> Array:
    """Halves of the pairs are taken, where k changes more, until its values differ little or the ends are too near.

    These are the points (2, n) that it returns.
    """
    ends = [x, y]
    values = [evaluate(f, p, _WHAT) for p in ends]
    first = np.abs(values[1] - values[0])
    for _ in range(40):
        middle = (ends[0] + ends[1]) / 2
        value = evaluate(f, middle, _WHAT)
        left = np.abs(value - values[0]) > np.abs(values[1] - value)
        ends = [np.where(left, ends[0], middle), np.where(left, middle, ends[1])]
        values = [np.where(left, values[0], value), np.where(left, value, values[1])]
    size = np.abs(values[1]) + np.abs(values[0])
    jumps = np.flatnonzero(np.abs(values[1] - values[0]) > np.maximum(0.02 * first, 1e-9 * size))
    if len(jumps):
        k = jumps[0]
        at = ", ".join(f"{v:.4g}" for v in ends[0][:, k])
        raise ProblemError(
            f"Expected a smooth k in -div(k grad u) (got one that jumps from {values[0][k]:.4g} to {values[1][k]:.4g} "
            f"at ({at})): its derivative is a part of the equation; where k jumps name the regions, "
            "divergence={region: k, other: k}"
        )
    return ends[0]


def _check_slopes(f: Function, x: Array, step: Array) -> None:
    """Layers of k that are thinner than the step are flatter by difference quotients than they are."""
    for axis in (0, 1):
        coarse, fine = (np.abs(evaluate(_slope(f, axis, h), x, _WHAT)) for h in (step, step / 8))
        k = int(fine.argmax())
        if fine[k] > _STEEPER * coarse.max() + 1e-9 * np.abs(evaluate(f, x, _WHAT)).max() / step[axis]:
            at = ", ".join(f"{v:.4g}" for v in x[:, k])
            raise ProblemError(
                f"Expected a k in -div(k grad u) that changes over more than {step[axis]:.2g} (got one whose slope at "
                f"({at}) is {fine[k]:.4g}, {coarse.max():.4g} over that length): its derivative is a part of the "
                "equation; where k jumps name the regions, divergence={region: k, other: k}"
            )
