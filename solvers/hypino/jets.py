"""Values and derivatives of tanh networks and of lattices of Gaussians, in closed form."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache

import torch
from torch import Tensor, nn

__all__ = ["fourier_width", "lattice_jets", "nodal_to_lattice", "shapes", "tanh_jets"]

#: Fourier features of each coordinate: itself, and sines and cosines at these angular frequencies
FREQUENCIES = (math.pi / 2, 3 * math.pi / 2)
#: rows of Gaussians beyond the box on each side, so that the edge is resolved like the inside
PAD = 3


def fourier_width() -> int:
    """Number of Fourier features of a point: five for each of the two coordinates."""
    return 2 * (1 + 2 * len(FREQUENCIES))


def shapes(hidden: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the weights of one modulated tanh network of width `hidden`.

    Examples
    --------
    >>> shapes(32)["W2"], shapes(32)["out"]
    ((32, 32), (32,))
    """
    d = fourier_width()
    matrices = {"U": (hidden, d), "V": (hidden, d), "W1": (hidden, d), "W2": (hidden, hidden), "W3": (hidden, hidden)}
    return {**matrices, **{f"b{name}": (hidden,) for name in matrices}, "out": (hidden,)}


def tanh_jets(net: Mapping[str, Tensor], X: Tensor) -> Tensor:
    r"""Jets of the last hidden layer of a batch of modulated networks.

    With Fourier features e, gates :math:`u = \tanh(Ue + b_U)` and :math:`v = \tanh(Ve + b_V)`:
    :math:`h_l = z_l u + (1 - z_l) v`, :math:`z_l = \tanh(W_l h_{l-1} + b_l)`, :math:`h_0 = e`, three times.

    Parameters
    ----------
    net
        Weights by the names of `shapes`, each with a leading axis of B problems.
    X
        Points, (B, 2, n).

    Returns
    -------
    Tensor
        (B, H, 5, n): values and derivatives dX, dY, dXX, dYY.

    References
    ----------
    Wang, Teng, Perdikaris, SIAM J. Sci. Comput. 43 (2021); Bischof et al., arXiv 2509.05117.
    """
    e = _fourier_jets(X)
    u = _tanh(_affine(net["U"], net["bU"], e))
    v = _tanh(_affine(net["V"], net["bV"], e))
    difference, h = u - v, e
    for layer in ("W1", "W2", "W3"):
        h = _times(_tanh(_affine(net[layer], net["b" + layer], h)), difference) + v
    return h


def lattice_jets(coefficients: Tensor, X: Tensor) -> Tensor:
    r"""Jets of fields :math:`\sum_{ij} c_{ij}\, g(y - y_i)\, g(x - x_j)`, Gaussians on a regular lattice.

    Parameters
    ----------
    coefficients
        (B, F, M, M): row i counts along y. The outer `PAD` rows and columns lie beyond [-1, 1].
    X
        Points, (B, 2, n) or (1, 2, n).

    Returns
    -------
    Tensor
        (B, F, 5, n).
    """
    size = coefficients.shape[-1]
    gx, gy = (_gaussians(X[:, axis], size) for axis in (0, 1))  # (B, 3, M, n)
    batch, fields = coefficients.shape[:2]
    n = X.shape[-1]
    along = gx.permute(0, 2, 1, 3).reshape(len(X), size, 3 * n)
    rows = coefficients.reshape(batch, fields * size, size) @ along
    rows = rows.view(batch, fields, size, 3, n)
    plain, dx, dxx = rows.unbind(3)  # (B, F, M, n)
    gy, gy1, gy2 = gy[:, None].unbind(2)
    return torch.stack([(r * g).sum(2) for r, g in ((plain, gy), (dx, gy), (plain, gy1), (dxx, gy), (plain, gy2))], 2)


def nodal_to_lattice(nodal: Tensor) -> Tensor:
    """Coefficients (..., M, M) of the smooth fields through values (..., m, m) at the centres of m by m pixels.

    Examples
    --------
    >>> c = nodal_to_lattice(torch.ones(1, 1, 16, 16))
    >>> bool((lattice_jets(c, torch.zeros(1, 2, 1))[0, 0, 0] - 1).abs() < 1e-2)
    True
    """
    extend = _extension(nodal.shape[-1]).to(nodal)
    return extend @ nodal @ extend.T


def _fourier_jets(X: Tensor) -> Tensor:
    """(B, 10, 5, n) jets of x, sin(wx), cos(wx) and the same of y."""
    zero, one = torch.zeros_like(X[:, 0]), torch.ones_like(X[:, 0])
    parts = []
    for axis in (0, 1):
        x = X[:, axis]
        rows = [(x, one, zero)]
        for w in FREQUENCIES:
            s, c = torch.sin(w * x), torch.cos(w * x)
            rows += [(s, w * c, -w * w * s), (c, -w * s, -w * w * c)]
        for value, d, dd in rows:
            jets = (value, d, zero, dd, zero) if axis == 0 else (value, zero, d, zero, dd)
            parts.append(torch.stack(jets, 1))
    return torch.stack(parts, 1)


def _affine(W: Tensor, b: Tensor, jets: Tensor) -> Tensor:
    out = (W @ jets.flatten(2)).unflatten(2, jets.shape[2:])
    return out + nn.functional.pad(b[:, :, None, None], (0, 0, 0, 4))


def _tanh(z: Tensor) -> Tensor:
    value, first, second = z.split([1, 2, 2], 2)
    t = torch.tanh(value)
    d = 1 - t * t
    return torch.cat([t, d * first, d * (second - 2 * t * first * first)], 2)


def _times(a: Tensor, b: Tensor) -> Tensor:
    a0, a1, a2 = a.split([1, 2, 2], 2)
    b0, b1, b2 = b.split([1, 2, 2], 2)
    return torch.cat([a0 * b0, a1 * b0 + a0 * b1, a2 * b0 + 2 * a1 * b1 + a0 * b2], 2)


def _gaussians(x: Tensor, size: int) -> Tensor:
    """(B, 3, M, n): the Gaussians of one axis at x (B, n) with two derivatives; as wide as their spacing."""
    h = 2 / (size - 2 * PAD)
    centres = -1 + h * (torch.arange(size, dtype=x.dtype, device=x.device) + 0.5 - PAD)
    d = (x[:, None] - centres[:, None]) / h
    g = torch.exp(-0.5 * d * d)
    return torch.stack([g, -d * g / h, (d * d - 1) * g / h**2], 1)


@lru_cache(maxsize=8)
def _extension(m: int) -> Tensor:
    """(M, m): coefficients of Gaussians through m values at pixel centres, with small third differences.

    So that fields go on smoothly up to the edge; coefficients of least norm would fall off towards it.
    """
    nodes = torch.linspace(-1 + 1 / m, 1 - 1 / m, m, dtype=torch.float64)
    G = _gaussians(nodes[None], m + 2 * PAD)[0, 0].T
    third = torch.diff(torch.eye(m + 2 * PAD, dtype=torch.float64), n=3, dim=0)
    return torch.linalg.solve(G.T @ G + 1e-2 * third.T @ third, G.T).float()
