r"""Random analytic fields u(x): sums of terms of one form, whose gradients and Hessians are known in closed form.

A term is a profile of a coordinate s. With y = A (x - c), affine functions l(x) and f(x), and numbers b, w, e,

    s = b |y|^2 + l(x) + w sin f(x) + sqrt(e |y|^2 + tiny),    T = tanh s,
    u = delta s + beta T + gamma (1 - T^2) / (1 - tau^2 T^2).

So one formula is a bump (e = 1), a ring or an ellipse (b), a plane, bent or wavy front (l, b with A of rank one, w),
a Fourier mode (w and delta), a step (beta), a sech^2 layer (gamma) or a shear layer with a plateau, the sum of two
tanh (gamma, tau near 1). All terms of a batch of meshes are rows of one table, so a batch of points needs one gather
and no loop over meshes. Coordinates are relative to the mesh's bounding box.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from meshmove.geometry.arrays import Array

__all__ = ["KINDS", "TERM", "evaluate", "random_term"]

Rng = np.random.Generator

#: the numbers of a term, after its (dim + 2) x (dim + 1) affine functions
TERM = ("b", "w", "e", "delta", "beta", "gamma", "tau")
_TINY = 1e-8


def evaluate(table: Tensor, x: Tensor, order: int) -> Tensor:
    """One term at each point: its value (1, n), gradient (dim, n), or second derivatives (dim (dim+1) / 2, n).

    `table` ((dim+2)(dim+1) + 7, n): the term of every point; `x` (dim, n). Second derivatives are xx, xy, yy or
    xx, xy, xz, yy, yz, zz. Differentiable in both; written out by components, for points run along memory.
    """
    d = len(x)
    size = (d + 2) * (d + 1)
    columns = table[:size].unbind(0)
    forms = [columns[k * (d + 1) : (k + 1) * (d + 1)] for k in range(d + 2)]
    b, w, e, delta, beta, gamma, tau = table[size:].unbind(0)
    *y, line, phase = [sum((form[c] * x[c] for c in range(d)), form[d]) for form in forms]
    square = sum(v * v for v in y)
    root = (e * square + _TINY).sqrt()
    t = (b * square + line + w * phase.sin() + root).tanh()
    tt = t * t
    flat, q = 1 - tt, 1 / (1 - tau * tau * tt)
    if order == 0:
        s = w * phase.sin()  # all that is left of s where delta is in use
        return (delta * s + beta * t + gamma * flat * q)[None]
    matrix, across, wave = forms[:d], forms[d], forms[d + 1]
    slope = [sum(y[k] * matrix[k][c] for k in range(d)) for c in range(d)]  # half the gradient of |y|^2
    outer, swing = 2 * b + e / root, w * phase.cos()
    ds = [outer * slope[c] + across[c] + swing * wave[c] for c in range(d)]
    bend = -2 * gamma * (1 - tau * tau) * q * q  # d/dT of the even profile, over T
    first = delta + flat * (beta + bend * t)
    if order == 1:
        return torch.stack([first * v for v in ds])
    curve = bend * (1 + 3 * tau * tau * tt) * q
    second = flat * (curve * flat - 2 * t * (beta + bend * t))
    swing, radial = w * phase.sin(), e / root**3
    out = []
    for i in range(d):
        for j in range(i, d):
            metric = sum(matrix[k][i] * matrix[k][j] for k in range(d))
            dds = outer * metric - radial * slope[i] * slope[j] - swing * wave[i] * wave[j]
            out.append(second * ds[i] * ds[j] + first * dds)
    return torch.stack(out)


def random_term(rng: Rng, kind: str, centre: Array, width: float, extent: float) -> tuple[Array, Array]:
    """Affine functions (dim+2, dim+1) and numbers (7,) of a term.

    `width` is the thickness of the layer, `extent` the size of the domain.
    """
    return _MAKERS[kind](rng, centre, width, extent)


def _pack(centre: Array, matrix: Array | None = None, line: Array | None = None, at: float = 0.0,
          wave: Array | None = None, phase: float = 0.0, **numbers: float) -> tuple[Array, Array]:  # fmt: skip
    d = len(centre)
    rows = np.zeros((d + 2, d + 1))
    if matrix is not None:
        rows[:d, :d] = matrix
    if line is not None:
        rows[d, :d] = line
    if wave is not None:
        rows[d + 1, :d] = wave
    rows[:, d] = -rows[:, :d] @ centre
    rows[d, d] += at
    rows[d + 1, d] += phase
    return rows, np.array([numbers.get(name, 0.0) for name in TERM])


def _frame(rng: Rng, d: int) -> Array:
    return np.linalg.qr(rng.standard_normal((d, d)))[0]


def _profile(rng: Rng) -> dict[str, Any]:
    """A sech^2 layer, or a plateau between two tanh."""
    return {"gamma": 1.0, "tau": 0.0 if rng.random() < 0.6 else float(np.tanh(rng.uniform(0.5, 3)))}


def _bump(rng: Rng, centre: Array, width: float, extent: float) -> tuple[Array, Array]:
    d = len(centre)
    stretch = np.ones(d)
    if rng.random() < 0.5:  # an ellipse, longer one way
        stretch[0] = max(width / extent, np.exp(-rng.uniform(0, np.log(6))))
    return _pack(centre, _frame(rng, d) * stretch[:, None] / width, e=1.0, **_profile(rng))


def _ring(rng: Rng, centre: Array, width: float, extent: float) -> tuple[Array, Array]:
    """|y| = 1 is the ring; its coordinate (|y|^2 - 1) R / 2w has slope 1/w there and is smooth at the centre."""
    d = len(centre)
    radius = rng.uniform(min(max(0.1 * extent, 1.5 * width), 0.4 * extent), 0.45 * extent)
    axes = np.ones(d)
    if rng.random() < 0.4:
        axes[0] = rng.uniform(0.4, 1)
    sharp = radius * axes.min() / (2 * width)
    return _pack(centre, _frame(rng, d) / (radius * axes)[:, None], at=-sharp, b=sharp, **_profile(rng))


def _front(rng: Rng, centre: Array, width: float, extent: float) -> tuple[Array, Array]:
    """An oblique layer, two thirds of them bent or wavy."""
    d = len(centre)
    frame = _frame(rng, d)
    options: dict = {"line": frame[0] / width}
    form = rng.integers(3)
    if form == 1:
        options |= {"matrix": np.outer(np.eye(d)[0], frame[1]), "b": rng.uniform(-2, 2) / (extent * width)}
    elif form == 2:
        length = rng.uniform(0.3, 1.2) * extent
        k = 2 * np.pi / length
        options |= {"wave": k * frame[1], "phase": rng.uniform(0, 2 * np.pi), "w": rng.uniform(0.1, 0.7) / (k * width)}
    return _pack(centre, **options, **_profile(rng))


def _shear(rng: Rng, centre: Array, width: float, extent: float) -> tuple[Array, Array]:
    """A pair of tanh layers, wavy at times: high between them."""
    rows, numbers = _front(rng, centre, width, extent)
    half = rng.uniform(1, max(1.5, min(5.0, 0.2 * extent / width)))
    numbers[TERM.index("tau")] = np.tanh(half)
    return rows, numbers


def _step(rng: Rng, centre: Array, width: float, extent: float) -> tuple[Array, Array]:
    """A shock: a front, or a ring, between two levels."""
    make = _front if rng.random() < 0.7 else _ring
    rows, numbers = make(rng, centre, width, extent)
    numbers[TERM.index("gamma")] = numbers[TERM.index("tau")] = 0
    numbers[TERM.index("beta")] = rng.choice([-0.5, 0.5])
    return rows, numbers


def _mode(rng: Rng, centre: Array, width: float, extent: float) -> tuple[Array, Array]:
    """A Fourier mode of a wave length of 2 pi widths, at most the domain's size."""
    k = max(1 / width, np.pi / extent) * _frame(rng, len(centre))[0]
    return _pack(centre, wave=k, phase=rng.uniform(0, 2 * np.pi), w=1.0, delta=1.0)


_MAKERS = {"bump": _bump, "ring": _ring, "front": _front, "shear": _shear, "step": _step, "mode": _mode}
#: names of the terms
KINDS = tuple(_MAKERS)
