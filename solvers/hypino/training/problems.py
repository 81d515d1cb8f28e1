"""Batches of problems with known solutions, and of problems without: data at points and as pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .functions import Functions, draw_functions
from .operators import Operators, draw_operators
from .shapes import SAMPLES, Shapes, draw_shapes, side_samples

__all__ = ["Draws", "Problems", "build", "draw", "times_bubble"]


@dataclass(frozen=True)
class Draws:
    """All random choices behind a batch, before anything is evaluated; cheap to make and to split among processes."""

    operators: Operators
    shapes: Shapes
    functions: Functions
    bubble: Tensor
    constants: Tensor
    bumps: Tensor
    interior: Tensor
    edge: Tensor

    def share(self, rank: int, of: int) -> Draws:
        """What process `rank` of `of` works on. Points are common to all."""
        size = len(self.functions) // of
        part = slice(rank * size, (rank + 1) * size)
        names = ("operators", "shapes", "functions", "bubble", "constants", "bumps")
        return replace(self, **{name: getattr(self, name)[part] for name in names})

    def to(self, device: torch.device | str) -> Draws:
        return Draws(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Problems:
    """A batch of problems on [-1, 1]².

    Attributes
    ----------
    coefficients
        (B, 5).
    raster
        (B, 6, n, n), as the network reads it.
    labelled
        (B,): whether the solution is known.
    X, inside, source, jets
        Interior points (2, P), whether they lie in the domain (B, P), the source there, the solution's jets (B, 5, P).
    edge, normals, values, dirichlet, neumann
        Boundary points (B, 2, Q), normals there (B, 2, Q), values (B, 2, Q) of u and of its normal derivative, and
        which of the two are prescribed (B, Q).
    """

    coefficients: Tensor
    raster: Tensor
    labelled: Tensor
    X: Tensor
    inside: Tensor
    source: Tensor
    jets: Tensor
    edge: Tensor
    normals: Tensor
    values: Tensor
    dirichlet: Tensor
    neumann: Tensor

    def __len__(self) -> int:
        return len(self.coefficients)


def draw(
    n: int, seed: tuple[int, int], interior: int, edge: int, unlabelled: float = 0.125, bubbles: float = 0.0
) -> Draws:
    """Random choices for n problems; the same for the same seed, on any machine and any number of processes.

    Parameters
    ----------
    interior, edge
        Numbers of points that data are given at.
    unlabelled
        Share of problems without a known solution.
    bubbles
        Share of problems whose solution is multiplied by 1 - X², by 1 - Y² or by both, so that it vanishes on sides.
    """
    generator = torch.Generator().manual_seed((seed[0] * 1_000_003 + seed[1]) & 0x7FFF_FFFF_FFFF)
    operators = draw_operators(n, generator, unlabelled)
    shapes = draw_shapes(n, generator)
    functions = draw_functions(operators.coefficients, generator)
    bubble = (torch.rand(n, 2, generator=generator) < 0.75) & (torch.rand(n, 1, generator=generator) < bubbles)
    constants = _constants(n, generator)
    bumps = torch.rand(n, 4, 5, generator=generator)
    points = 2 * torch.rand(2, interior, generator=generator) - 1
    chosen = torch.rand(edge, generator=generator)
    return Draws(operators, shapes, functions, bubble, constants, bumps, points, chosen)


def build(draws: Draws, n: int) -> Problems:
    """Evaluate the choices: rasters of n by n pixels, and data at points."""
    o, shapes, plain = draws.operators, draws.shapes, draws.operators.unlabelled
    c, B = o.coefficients, len(draws.functions)
    device = c.device
    s = torch.linspace(-1 + 1 / n, 1 - 1 / n, n, device=device)
    pixels = torch.stack([s.repeat(n), s.repeat_interleave(n)])
    sides, side_normals = side_samples(n, device)
    hole_points, hole_normals, hole_counts = shapes.samples()
    edge = torch.cat([sides.expand(B, -1, -1), hole_points], 2)
    normals = torch.cat([side_normals.expand(B, -1, -1), hole_normals], 2)
    counts = torch.cat([shapes.inside(sides), hole_counts], 1)
    # a hole that reaches into a notch was not drawn, but a notch covers parts of sides
    piece = torch.cat(
        [
            torch.arange(4, device=device).repeat_interleave(n),
            4 + torch.arange(4, device=device).repeat_interleave(SAMPLES),
        ]
    )
    on_d, on_n = o.dirichlet[:, piece] & counts, o.neumann[:, piece] & counts

    every = torch.cat([pixels.expand(B, -1, -1), draws.interior.expand(B, -1, -1), edge], 2)
    jets = times_bubble(draws.functions.jets(every), every, draws.bubble)
    at_pixels, at_points, at_edge = jets.split([n * n, draws.interior.shape[1], edge.shape[2]], 2)
    values = torch.stack([at_edge[:, 0], (at_edge[:, 1:3] * normals).sum(1)], 1)
    values = torch.where(plain[:, None, None], draws.constants[:, piece][:, None].expand(-1, 2, -1), values)
    source = [(c[:, :, None] * j).sum(1) for j in (at_pixels, at_points)]
    free = [_bumps(draws.bumps, X) for X in (pixels, draws.interior)]
    f_pixels, f_points = (torch.where(plain[:, None], b, a) for a, b in zip(source, free, strict=True))

    masks_d, values_d = _picture(edge, on_d, values[:, 0], n)
    masks_n, values_n = _picture(edge, on_n, values[:, 1], n)
    inside = shapes.inside(pixels).to(c.dtype).view(B, n, n)
    raster = torch.stack([masks_d, masks_n, values_d, values_n, f_pixels.view(B, n, n) * inside, inside], 1)
    # the same boundary samples of every problem, three fifths of them on the sides
    u = draws.edge
    pick = torch.where(u < 0.6, u / 0.6 * 4 * n, 4 * n + (u - 0.6) / 0.4 * (edge.shape[2] - 4 * n)).long()
    return Problems(
        c, raster, ~plain, draws.interior, shapes.inside(draws.interior), f_points, at_points,
        edge[:, :, pick], normals[:, :, pick], values[:, :, pick], on_d[:, pick], on_n[:, pick],
    )  # fmt: skip


def _constants(n: int, generator: torch.Generator) -> Tensor:
    """Boundary values of unlabelled problems (n, 8), one a side and hole: mostly the same on all sides, often 0."""
    values, same = 2 * torch.rand(n, 8, generator=generator) - 1, torch.rand(n, 1, generator=generator) < 0.7
    values = values * (torch.rand(n, 8, generator=generator) < 0.6)
    sides = torch.where(same, values[:, :1], values[:, :4])
    return torch.cat([sides, values[:, 4:]], 1)


def times_bubble(jets: Tensor, X: Tensor, bubble: Tensor) -> Tensor:
    """Jets (B, 5, n) times 1 - X² and 1 - Y², where `bubble` (B, 2) says so."""
    on = bubble.to(X.dtype)[:, :, None]
    (bx, by), (dx, dy) = (1 - on * X**2).unbind(1), (-2 * on * X).unbind(1)
    u, ux, uy, uxx, uyy = jets.unbind(1)
    u, ux, uxx = u * bx, ux * bx + u * dx, uxx * bx + 2 * ux * dx - 2 * on[:, 0] * u
    uy, uyy = uy * bx, uyy * bx
    u, uy, uyy = u * by, uy * by + u * dy, uyy * by + 2 * uy * dy - 2 * on[:, 1] * u
    return torch.stack([u, ux * by, uy, uxx * by, uyy], 1)


def _picture(points: Tensor, on: Tensor, values: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """A mask of the pixels that boundary samples fall into, and the mean of their values there, both (B, n, n)."""
    at = ((points + 1) * (n / 2)).long().clamp(0, n - 1)
    index = at[:, 1] * n + at[:, 0]
    weight = on.to(values.dtype)
    count = torch.zeros(len(points), n * n, dtype=values.dtype, device=values.device).scatter_add_(1, index, weight)
    total = torch.zeros_like(count).scatter_add_(1, index, weight * values)
    return (count > 0).to(values.dtype).view(-1, n, n), (total / count.clamp_min(1)).view(-1, n, n)


def _bumps(parameters: Tensor, X: Tensor) -> Tensor:
    """Sources of unlabelled problems (B, n): none, constant, or a sum of four Gaussians of either sign."""
    p = parameters
    kind, sign = p[:, 0, 4], torch.sign(p[:, :, 3] - 0.5)
    centre, width = 2 * p[:, :, :2] - 1, 0.08 + 0.5 * p[:, :, 2] ** 2
    square = (X[None, None] - centre[..., None]).square().sum(2)
    height = sign * (2 + 8 * (p[:, :, 3] - 0.5).abs() * 2) * (0.3 / width)
    gauss = (height[..., None] * torch.exp(-0.5 * square / width[..., None] ** 2)).sum(1)
    flat = (sign[:, 0] * 3).unsqueeze(1).expand_as(gauss)
    return torch.where(kind[:, None] < 0.35, 0 * gauss, torch.where(kind[:, None] < 0.55, flat, gauss))
