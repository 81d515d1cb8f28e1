"""A rough solution of a pictured problem: a few sweeps of conjugate gradients on its least squares, batched."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

__all__ = ["sweep", "waves_on"]

#: waves of each axis, and the length that they are periodic on: longer than the box, so that no side sees its opposite
WAVES, LENGTH = 20, 3.0
#: weights of values and of normal derivatives at the boundary against the equation inside
VALUE, FLUX = 0.5, 0.06
#: conditions weigh exp(TILT . x) times as much: no two sides count the same, see `sweep`
TILT = 0.35, 0.2
#: nothing is divided by less
TINY = 1e-30


class _Basis(NamedTuple):
    """Sines and cosines at pixel centres (n, K) with derivatives, at the ends (2, K), and their wave numbers (K,)."""

    at: Tensor
    d: Tensor
    dd: Tensor
    ends: Tensor
    outward: Tensor
    waves: Tensor


class _Rows(NamedTuple):
    """Residuals, or what multiplies them: equation, values and fluxes at holes (B, n, n), and at sides (B, 4, n)."""

    equation: Tensor
    value: Tensor
    flux: Tensor
    side_value: Tensor
    side_flux: Tensor


Map = Callable[[Any], Any]


class Rough(NamedTuple):
    """What `sweep` finds, (B, n, n) each.

    `values` at pixel centres; what is left of the `equation`, over the operator's size, and of the boundary's
    prescribed `value` and `flux`, each at its exact place, drawn into its pixel.
    """

    values: Tensor
    equation: Tensor
    value: Tensor
    flux: Tensor


def sweep(coefficients: Tensor, raster: Tensor, sweeps: int) -> Rough:
    r"""Minimise :math:`|L u - f|^2 + \alpha^2 |u - g|^2 + \beta^2 |\partial_n u - h|^2` over the pixels, roughly.

    u is a sum of products of sines and cosines; conjugate gradients on the normal equations, preconditioned by the
    square of the operator's symbol, from zero. Sides have their exact place, holes that of their pixels, and normals
    from the blurred picture. All steps are matrix products of small size, and linear maps of the problem's data but for
    the step lengths.

    Conditions weigh a little more towards one corner. With equal weights a symmetric picture leaves half of all waves,
    and one of every two whose eigenvalues coincide, to rounding: conjugate gradients let it grow until it decides on
    the third digit of the answer, even in double precision. So all are there from the start, and the answer is the same
    to 1e-5 in single precision, on any processor.

    Parameters
    ----------
    coefficients
        (B, 5) of u, uX, uY, uXX, uYY.
    raster
        (B, 6, n, n), as `UnitProblem.raster` draws it.
    sweeps
        How many; a few dozen leave one tenth of smooth solutions as error.

    Examples
    --------
    >>> raster = torch.zeros(1, 6, 16, 16)
    >>> raster[:, 0, [0, -1]] = raster[:, 0, :, [0, -1]] = raster[:, 2, [0, -1]] = raster[:, 2, :, [0, -1]] = 1
    >>> raster[:, 5] = 1
    >>> rough = sweep(torch.tensor([[0.0, 0, 0, -1, -1]]), raster, 24)
    >>> bool((rough.values - 1).abs().max() < 0.05)
    True
    """
    n = raster.shape[-1]
    size = (coefficients.abs() @ coefficients.new_tensor([1.0, 4.0, 4.0, 16.0, 16.0])).clamp_min(1e-30)
    c = (coefficients / size[:, None])[:, :, None, None]
    b = _Basis(*(t.to(raster) for t in waves_on(n)))
    dirichlet, neumann, g, h, f, inside = raster.unbind(1)
    f = f * inside / size[:, None, None]
    nx, ny = _normals(inside)
    within = torch.zeros_like(inside[0])
    within[1:-1, 1:-1] = 1
    per, at = 1 / math.sqrt(4 * n), torch.linspace(-1 + 1 / n, 1 - 1 / n, n).to(inside)
    tilt = (TILT[0] * at + TILT[1] * at[:, None]).exp()
    weight = _Rows(
        inside / n,
        VALUE * per * tilt * dirichlet * within,
        FLUX * per * tilt * neumann * within,
        VALUE * per * _sides(tilt * dirichlet),
        FLUX * per * _sides(tilt * neumann),
    )
    along, across = c[:, 0] * b.at + c[:, 1] * b.d + c[:, 3] * b.dd, c[:, 2] * b.d + c[:, 4] * b.dd

    def rows(u: Tensor) -> _Rows:
        in_x = u @ b.at.T
        sides = [torch.cat([(b.at @ (u @ e.T)).mT, e @ in_x], 1) for e in (b.ends, b.outward)]
        equation = b.at @ (u @ along.mT) + across @ in_x
        flux = nx * (b.at @ (u @ b.d.T)) + ny * (b.d @ in_x)
        return _Rows(*(w * r for w, r in zip(weight, (equation, b.at @ in_x, flux, *sides), strict=True)))

    def back(r: _Rows) -> Tensor:
        equation, value, flux, *sides = (w * q for w, q in zip(weight, r, strict=True))
        out = (b.at.T @ equation) @ along + (across.mT @ equation + b.at.T @ value + b.d.T @ (ny * flux)) @ b.at
        out = out + (b.at.T @ (nx * flux)) @ b.d
        for q, e in zip(sides, (b.ends, b.outward), strict=True):
            out = out + (b.at.T @ q[:, :2].mT) @ e + e.T @ (q[:, 2:] @ b.at)
        return out

    data = _Rows(*(w * d for w, d in zip(weight, (f, g, h, _sides(g), _sides(h)), strict=True)))
    u = _conjugate_gradients(rows, back, data, _preconditioner(c, b.waves), sweeps)
    left = _Rows(*(d - r for d, r in zip(data, rows(u), strict=True)))
    value = (left.value + _ring(left.side_value, n)) / (VALUE * per * tilt)
    flux = (left.flux + _ring(left.side_flux, n)) / (FLUX * per * tilt)
    return Rough(b.at @ u @ b.at.T, n * left.equation, value, flux)


def _conjugate_gradients(rows: Map, back: Map, data: _Rows, preconditioner: Tensor, sweeps: int) -> Tensor:
    u, left = torch.zeros_like(preconditioner), data
    z = back(left)
    step = s = preconditioner * z
    norm = (z * s).sum((1, 2))
    gradients, scaled = z.new_zeros(2, len(z), sweeps + 1, z[0].numel()).unbind(0)
    gradients[:, 0], scaled[:, 0] = z.flatten(1), _over(s.flatten(1), norm)
    for done in range(1, sweeps + 1):
        image = rows(step)
        length = norm / sum(r.square().flatten(1).sum(1) for r in image).clamp_min(TINY)
        u = u + length[:, None, None] * step
        left = _Rows(*(a - length.view(-1, 1, 1) * r for a, r in zip(left, image, strict=True)))
        # orthogonal to all gradients so far: without it rounding decides on the answer after a few dozen sweeps
        z = back(left).flatten(1)[:, :, None]
        for _ in range(2):
            z = torch.baddbmm(z, gradients[:, :done].mT, scaled[:, :done] @ z, alpha=-1)
        z = z.view_as(u)
        s = preconditioner * z
        norm, before = (z * s).sum((1, 2)), norm
        gradients[:, done], scaled[:, done] = z.flatten(1), _over(s.flatten(1), norm)
        step = s + _over(norm, before)[:, None, None] * step
    return u


def _over(a: Tensor, b: Tensor) -> Tensor:
    """Rows (B, ...) over numbers (B,)."""
    return a / b.clamp_min(TINY).view(-1, *[1] * (a.ndim - 1))


def _preconditioner(c: Tensor, waves: Tensor) -> Tensor:
    """(B, K, K): the inverse of about the diagonal of the normal equations."""
    kx, ky = waves, waves[:, None]
    symbol = (c[:, 0] - c[:, 3] * kx**2 - c[:, 4] * ky**2) ** 2 + (c[:, 1] * kx) ** 2 + (c[:, 2] * ky) ** 2
    return 1 / (0.25 * symbol + 0.05 * VALUE**2 + 3e-4)


def _sides(picture: Tensor) -> Tensor:
    """(B, 4, n): what pictures (B, n, n) have on the left, right, lower and upper side, but for the corners' pixels."""
    sides = torch.stack([picture[:, :, 0], picture[:, :, -1], picture[:, 0], picture[:, -1]], 1).clone()
    sides[:, :, [0, -1]] = 0
    return sides


def _ring(sides: Tensor, n: int) -> Tensor:
    """(B, n, n): pictures with rows (B, 4, n) on their sides; these have nothing at the corners."""
    out = sides.new_zeros(len(sides), n, n)
    out[:, :, 0], out[:, :, -1] = sides[:, 0], sides[:, 1]
    out[:, 0] += sides[:, 2]
    out[:, -1] += sides[:, 3]
    return out


def _normals(inside: Tensor) -> tuple[Tensor, Tensor]:
    """Unit normals out of the domain (B, n, n), from the blurred picture of its inside."""
    n = inside.shape[-1]
    at = torch.arange(n, dtype=inside.dtype, device=inside.device)
    blur = torch.exp(-0.5 * ((at[:, None] - at) / (1.5 * n / 64)) ** 2)
    smooth = blur @ inside @ blur
    nx, ny = torch.zeros_like(smooth), torch.zeros_like(smooth)
    nx[:, :, 1:-1] = smooth[:, :, :-2] - smooth[:, :, 2:]
    ny[:, 1:-1] = smooth[:, :-2] - smooth[:, 2:]
    size = (nx**2 + ny**2).sqrt().clamp_min(1e-9)
    return nx / size, ny / size


@lru_cache(maxsize=8)
def waves_on(n: int) -> _Basis:
    """A constant, cosines and sines, and their derivatives, at the middles of n pixels to a side."""
    k = 2 * math.pi / LENGTH * torch.arange(1, WAVES + 1, dtype=torch.float64)

    def evaluate(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        angle, one = x[:, None] * k, torch.ones_like(x)[:, None]
        sin, cos = angle.sin(), angle.cos()
        value = torch.cat([one, cos, sin], 1)
        first = torch.cat([0 * one, -k * sin, k * cos], 1)
        return value, first, torch.cat([0 * one, -(k**2) * cos, -(k**2) * sin], 1)

    at, d, dd = evaluate(torch.linspace(-1 + 1 / n, 1 - 1 / n, n, dtype=torch.float64))
    ends, slopes, _ = evaluate(torch.tensor([-1.0, 1.0], dtype=torch.float64))
    outward = slopes * torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    return _Basis(at, d, dd, ends, outward, torch.cat([k[:1] * 0, k, k]))
