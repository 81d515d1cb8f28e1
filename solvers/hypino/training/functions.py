"""Random manufactured solutions with closed-form derivatives: sums, products, compositions of elementary functions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Functions", "draw_functions"]

KINDS = ("identity", "sin", "cos", "tanh", "sigmoid", "rational")
#: how a term joins what came before it
SUM, PRODUCT, COMPOSITION = 0, 1, 2
#: most terms of a function
TERMS = 10


@dataclass(frozen=True)
class Functions:
    """A batch of recipes; a term is factor · φ(slopes · x + offset [+ what came before])."""

    kind: Tensor
    join: Tensor
    slopes: Tensor
    offset: Tensor
    factor: Tensor
    count: Tensor

    def __len__(self) -> int:
        return len(self.kind)

    def __getitem__(self, index: Tensor | slice) -> Functions:
        return Functions(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    def to(self, device: torch.device | str) -> Functions:
        return Functions(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))

    @staticmethod
    def cat(parts: list[Functions]) -> Functions:
        return Functions(*(torch.cat([getattr(p, n) for p in parts]) for n in Functions.__dataclass_fields__))

    def jets(self, X: Tensor) -> Tensor:
        """(B, 5, n) values, dX, dY, dXX, dYY at points (2, n) or (B, 2, n)."""
        if X.ndim == 2:
            X = X.expand(len(self), 2, X.shape[-1])
        u = [torch.zeros_like(X[:, 0]) for _ in range(5)]
        for t in range(TERMS):
            ax, ay = self.slopes[:, t, :1], self.slopes[:, t, 1:]
            nested = (self.join[:, t] == COMPOSITION)[:, None].to(X.dtype)
            z = ax * X[:, 0] + ay * X[:, 1] + self.offset[:, t, None] + nested * u[0]
            zx, zy = ax + nested * u[1], ay + nested * u[2]
            v, d, dd = _elementary(self.kind[:, t], z)
            factor = self.factor[:, t, None]
            v, d, dd = v * factor, d * factor, dd * factor
            term = [v, d * zx, d * zy, dd * zx * zx + d * nested * u[3], dd * zy * zy + d * nested * u[4]]
            u = self._joined(t, u, term)
        return torch.stack(u, 1)

    def _joined(self, t: int, u: list[Tensor], term: list[Tensor]) -> list[Tensor]:
        if t == 0:
            return term
        join = self.join[:, t, None]
        times = [
            u[0] * term[0],
            u[1] * term[0] + u[0] * term[1],
            u[2] * term[0] + u[0] * term[2],
            u[3] * term[0] + 2 * u[1] * term[1] + u[0] * term[3],
            u[4] * term[0] + 2 * u[2] * term[2] + u[0] * term[4],
        ]
        on = (self.count > t)[:, None]
        together = [
            torch.where(join == SUM, a + b, torch.where(join == PRODUCT, p, b))
            for a, b, p in zip(u, term, times, strict=True)
        ]
        return [torch.where(on, new, old) for new, old in zip(together, u, strict=True)]


def _elementary(kind: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """φ, φ', φ'' row by row, each row of its own kind."""
    out = [torch.empty_like(z) for _ in range(3)]
    for number, name in enumerate(KINDS):
        rows = torch.nonzero(kind == number)[:, 0]
        if len(rows):
            for target, value in zip(out, _one(name, z[rows]), strict=True):
                target[rows] = value
    return out[0], out[1], out[2]


def _one(name: str, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    if name == "identity":
        return z, torch.ones_like(z), torch.zeros_like(z)
    if name == "sin":
        s = torch.sin(z)
        return s, torch.cos(z), -s
    if name == "cos":
        c = torch.cos(z)
        return c, -torch.sin(z), -c
    if name == "tanh":
        t = torch.tanh(z)
        d = 1 - t * t
        return t, d, -2 * t * d
    if name == "sigmoid":
        s = torch.sigmoid(z)
        d = s * (1 - s)
        return s, d, d * (1 - 2 * s)
    r = 1 / (1 + z * z)
    return r, -2 * z * r * r, (6 * z * z - 2) * r**3


def _propose(n: int, generator: torch.Generator) -> Functions:
    def uniform(*shape: int) -> Tensor:
        return 2 * torch.rand(*shape, generator=generator) - 1

    kind = torch.randint(len(KINDS), (n, TERMS), generator=generator)
    join = torch.randint(3, (n, TERMS), generator=generator)
    join[:, 0] = SUM
    slopes = 10 * uniform(n, TERMS, 2) * (torch.rand(n, TERMS, 2, generator=generator) < 0.5)
    count = torch.randint(6, TERMS + 1, (n,), generator=generator)
    two_pi = 2 * math.pi
    return Functions(kind, join, slopes, two_pi * uniform(n, TERMS), two_pi * uniform(n, TERMS), count)


def draw_functions(operators: Tensor, generator: torch.Generator) -> Functions:
    """One function for each operator (B, 5): rejected where |u| > 10, std u < 0.1 or |L u| > 1e4, as published.

    Examples
    --------
    >>> f = draw_functions(torch.eye(5), torch.Generator().manual_seed(0))
    >>> f.jets(torch.zeros(2, 3)).shape
    torch.Size([5, 5, 3])
    """
    check = 2 * torch.rand(2, 160, generator=generator) - 1
    done: list[Functions] = []
    missing = torch.arange(len(operators))
    slots: list[Tensor] = []
    while len(missing):
        tries = _propose(4 * len(missing), generator)
        jets = tries.jets(check)
        u = jets[:, 0]
        f = (operators[missing].repeat(4, 1)[:, :, None] * jets).sum(1)
        good = (u.abs().amax(1) <= 10) & (u.std(1) >= 0.1) & (f.abs().amax(1) <= 1e4)
        good = good.view(4, -1)
        first = good.to(torch.int8).argmax(0)
        found = good.any(0)
        done.append(tries[(first * len(missing) + torch.arange(len(missing)))[found]])
        slots.append(missing[found])
        missing = missing[~found]
    return Functions.cat(done)[torch.argsort(torch.cat(slots))]
