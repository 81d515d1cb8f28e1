"""Random linear operators, which sides of the square carry data, and what kind of data."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .shapes import HOLES

__all__ = ["Operators", "draw_operators"]


@dataclass(frozen=True)
class Operators:
    """Coefficients (B, 5) of u, uX, uY, uXX, uYY; what each side and hole carries; which problems are unlabelled.

    `dirichlet` and `neumann` are (B, 8): left, right, lower, upper side, then the holes. A wave starts with both.
    """

    coefficients: Tensor
    dirichlet: Tensor
    neumann: Tensor
    unlabelled: Tensor

    def __getitem__(self, index: slice) -> Operators:
        return Operators(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    def to(self, device: torch.device | str) -> Operators:
        return Operators(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


def draw_operators(n: int, generator: torch.Generator, unlabelled: float = 0.125) -> Operators:
    """One to three of the five terms, coefficients in [-2, 2]; time-dependent kinds have no data at their final time.

    Of two second derivatives of opposite sign one is time, its start carries value and velocity; with one second
    derivative and a first one across it time runs the way in which the problem is well-posed. Half of the first-order
    problems have data at both ends of an axis, as published, half at one. Of two fifths of the problems of second order
    half the sides are Neumann. Unlabelled problems are elliptic and coercive.

    Examples
    --------
    >>> o = draw_operators(4, torch.Generator().manual_seed(0))
    >>> bool((o.coefficients != 0).sum(1).max() <= 3)
    True
    """
    rand = lambda *shape: torch.rand(*shape, generator=generator)  # noqa: E731
    count = torch.randint(1, 4, (n,), generator=generator)
    order = rand(n, 5).argsort(1).argsort(1)
    size = 0.05 + 1.95 * rand(n, 5)
    c = torch.where(rand(n, 5) < 0.5, size, -size) * (order < count[:, None])
    plain = rand(n) < unlabelled
    c = torch.where(plain[:, None], _coercive(n, rand), c)
    u_, x_, y_, xx, yy = c.unbind(1)
    dirichlet, neumann = torch.ones(n, 8, dtype=torch.bool), torch.zeros(n, 8, dtype=torch.bool)
    holes = rand(n, HOLES) < 0.5
    dirichlet[:, 4:], neumann[:, 4:] = holes, ~holes

    both = (xx != 0) & (yy != 0)
    wave, elliptic = both & (xx * yy < 0), both & (xx * yy > 0)
    heat_y, heat_x = (xx != 0) & (yy == 0) & (y_ != 0), (yy != 0) & (xx == 0) & (x_ != 0)
    first = (xx == 0) & (yy == 0) & ((x_ != 0) | (y_ != 0)) & (rand(n) < 0.5)
    in_y = rand(n) < 0.7
    in_y = torch.where(first, (y_ != 0) & ((x_ == 0) | in_y), in_y)
    time_y, time_x = heat_y | ((wave | first) & in_y), heat_x | ((wave | first) & ~in_y)
    forward = rand(n) < 0.85
    forward = torch.where(heat_y, y_ * xx < 0, torch.where(heat_x, x_ * yy < 0, forward))
    rows = torch.arange(n)
    axis = torch.where(time_y, 2, 0)
    start, end = axis + (~forward).long(), axis + forward.long()
    timed = time_y | time_x
    dirichlet[rows[timed], end[timed]] = False
    neumann[rows[wave], start[wave]] = True

    free = (rand(n, 4) < 0.5) & (rand(n, 1) < 0.4) & ((xx != 0) | (yy != 0))[:, None]
    free[rows[timed], start[timed]] = False
    free &= dirichlet[:, :4]
    free[:, 0] &= ~(elliptic & free.all(1))
    neumann[:, :4] |= free
    dirichlet[:, :4] &= ~free
    return Operators(c, dirichlet, neumann, plain)


def _coercive(n: int, rand) -> Tensor:
    """-a uXX - b uYY and at most one more term, which cannot make the problem singular."""
    c = torch.zeros(n, 5)
    c[:, 3:] = -(0.2 + 1.8 * rand(n, 2))
    equal = rand(n) < 0.6
    c[:, 4] = torch.where(equal, c[:, 3], c[:, 4])
    which = (5 * rand(n)).long()
    c[:, 0] = torch.where(which == 0, 2 * rand(n), c[:, 0])
    c[:, 1] = torch.where(which == 1, 4 * rand(n) - 2, c[:, 1])
    c[:, 2] = torch.where(which == 2, 4 * rand(n) - 2, c[:, 2])
    return c
