"""What the hypernetwork writes: a modulated tanh network beside a lattice of Gaussians, with closed-form jets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from .inputs import Turn

__all__ = ["Emitted", "fourier_width", "lattice_jets", "nodal_to_lattice", "shapes", "tanh_jets"]

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


@dataclass(frozen=True)
class Emitted:
    """Solutions of a batch of problems on [-1, 1]², as written by the hypernetwork: sums of small networks.

    `features` and `jets` are of unit coordinates. A call takes the problems' own, as a `Solution` does, where `frame`
    says what these are: what `HyPINO.emit` returns knows it.

    Attributes
    ----------
    lattice
        (B, F, M, M), or (F, M, M) for a single problem: coefficients of F fields of Gaussians.
    mixture
        (B, F) or (F,): weights of the fields in the solution.
    nets
        Modulated tanh networks, weights by name as in `shapes`.
    frame
        (B, 2, 2) or (2, 2): middle and half sides of each problem's box; None: its own coordinates are the unit ones.
    """

    lattice: Tensor
    mixture: Tensor
    nets: tuple[dict[str, Tensor], ...]
    frame: Tensor | None = None

    @property
    def single(self) -> bool:
        """Whether this is one problem, without the axis of the batch."""
        return self.lattice.ndim == 3

    def __len__(self) -> int:
        return 1 if self.single else len(self.lattice)

    @property
    def count(self) -> int:
        """Number of features: the fields, then the last hidden layers."""
        return self.lattice.shape[-3] + sum(net["out"].shape[-1] for net in self.nets)

    @property
    def output(self) -> Tensor:
        """Weights of the features in the emitted solution, (B, count) or (count,)."""
        return torch.cat([self.mixture, *(net["out"] for net in self.nets)], -1)

    def features(self, X: ArrayLike | Tensor) -> Tensor:
        """Jets (value, dX, dY, dXX, dYY) of the fields and of the last hidden layers.

        Parameters
        ----------
        X
            Points in [-1, 1]², (2, n), or (B, 2, n): other points for each problem.

        Returns
        -------
        Tensor
            (B, 5, count, n), or (5, count, n) for a single problem.
        """
        points = self._points(X)
        batched = self._batched()
        parts = [lattice_jets(batched.lattice, points)]
        every = points.expand(len(batched.lattice), -1, -1)
        parts += [tanh_jets(net, every) for net in batched.nets]
        jets = torch.cat(parts, 1).transpose(1, 2)
        return jets[0] if self.single else jets

    def jets(self, X: ArrayLike | Tensor) -> Tensor:
        """The solutions with their derivatives, (B, 5, n), or (5, n) for a single problem.

        Examples
        --------
        >>> from meshmove.solvers.hypino.target import nodal_to_lattice
        >>> flat = Emitted(nodal_to_lattice(torch.full((1, 1, 16, 16), 3.0)), torch.ones(1, 1), ())
        >>> [round(float(v)) for v in flat.jets(torch.zeros(2, 1)).flatten()]
        [3, 0, 0, 0, 0]
        """
        return (
            (self.output.unsqueeze(-2) @ self.features(X).transpose(-3, -2).flatten(-2))
            .squeeze(-2)
            .unflatten(-1, (5, -1))
        )

    def __call__(self, X: ArrayLike | Tensor) -> Tensor:
        """Values, (B, n), or (n,) for a single problem, at points of the problems' own coordinates.

        Parameters
        ----------
        X
            (2, n), or (B, 2, n): other points for each problem.
        """
        if self.frame is None:
            return self.jets(X)[..., 0, :]
        x = self._points(X)
        middle, half = (self.frame[None] if self.single else self.frame).to(x)[..., None].unbind(1)
        return self._batched().jets((x - middle) / half)[..., 0, :].reshape(*self.lattice.shape[:-3], -1)

    def turned_back(self, turn: Turn) -> Emitted:
        """The same solutions of the problems as they were before `turn`: the hidden layers' weights are turned."""
        swap, flip_x, flip_y = (t[:, None, None, None] for t in (turn.swap, turn.flip_x, turn.flip_y))
        lattice = torch.where(flip_x, self.lattice.flip(-1), self.lattice)
        lattice = torch.where(flip_y, lattice.flip(-2), lattice)
        half = fourier_width() // 2
        odd = torch.tensor([-1.0] + [-1.0, 1.0] * len(FREQUENCIES), dtype=lattice.dtype, device=lattice.device)
        one = torch.ones_like(odd)
        signs = torch.cat([torch.where(f[:, None], odd, one) for f in (turn.flip_x, turn.flip_y)], 1)[:, None]

        def back(net: dict[str, Tensor]) -> dict[str, Tensor]:
            signed = {name: net[name] * signs for name in ("U", "V", "W1")}
            return {**net, **{k: torch.where(swap[..., 0], v.roll(half, -1), v) for k, v in signed.items()}}

        return replace(self, lattice=torch.where(swap, lattice.mT, lattice), nets=tuple(back(net) for net in self.nets))

    def select(self, index: int) -> Emitted:
        """One problem of the batch, without its axis."""
        return self._map(lambda t: t[index])

    def to(self, *args: object, **kwargs: object) -> Emitted:
        """Like `torch.Tensor.to`: another device or precision."""
        return self._map(lambda t: t.to(*args, **kwargs))

    def detach(self) -> Emitted:
        """The same without a graph."""
        return self._map(torch.Tensor.detach)

    def numpy(self) -> Emitted:
        """In double precision on the CPU, detached: what a least-squares solve wants."""
        return self.detach().to("cpu", torch.float64)

    def __add__(self, other: Emitted) -> Emitted:
        """The sum of the solutions; its features are those of both."""
        lattice = torch.cat([self.lattice, other.lattice], -3)
        return Emitted(lattice, torch.cat([self.mixture, other.mixture], -1), self.nets + other.nets, self.frame)

    def __mul__(self, factor: float | Tensor) -> Emitted:
        """Solutions times numbers (B,): the fields and the output weights are scaled, the hidden layers stay."""
        factor = torch.as_tensor(factor, dtype=self.lattice.dtype, device=self.lattice.device)
        nets = tuple({**net, "out": net["out"] * factor[..., None]} for net in self.nets)
        return replace(self, lattice=self.lattice * factor[..., None, None, None], nets=nets)

    __rmul__ = __mul__

    @property
    def parameters(self) -> dict[str, Tensor]:
        """All tensors by name, to fine-tune; `with_parameters` puts them back."""
        named = {"lattice": self.lattice, "mixture": self.mixture}
        return named | {f"{i}.{k}": v for i, net in enumerate(self.nets) for k, v in net.items()}

    def with_parameters(self, named: Mapping[str, Tensor]) -> Emitted:
        """The same networks with other numbers."""
        nets = tuple({k: named[f"{i}.{k}"] for k in net} for i, net in enumerate(self.nets))
        return Emitted(named["lattice"], named["mixture"], nets, self.frame)

    def _map(self, change) -> Emitted:
        nets = tuple({k: change(v) for k, v in net.items()} for net in self.nets)
        frame = None if self.frame is None else change(self.frame)
        return Emitted(change(self.lattice), change(self.mixture), nets, frame)

    def _batched(self) -> Emitted:
        return self._map(lambda t: t[None]) if self.single else self

    def _points(self, X: ArrayLike | Tensor) -> Tensor:
        points = X if isinstance(X, Tensor) else torch.from_numpy(np.asarray(X, float))
        points = points.to(self.lattice)
        return points[None] if points.ndim == 2 else points


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


# split, not slices: the backward pass of a slice fills a tensor of zeros


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
