"""What the hypernetwork writes: a modulated tanh network beside a lattice of Gaussians, with closed-form jets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from .inputs import Turn
from .jets import FREQUENCIES, fourier_width, lattice_jets, tanh_jets

__all__ = ["Emitted"]


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
        >>> from meshmove.solvers.hypino.jets import nodal_to_lattice
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
        # a copy: points that problems share may not be written to, which torch warns of
        points = X if isinstance(X, Tensor) else torch.from_numpy(np.array(X, float))
        points = points.to(self.lattice)
        return points[None] if points.ndim == 2 else points


# split, not slices: the backward pass of a slice fills a tensor of zeros
