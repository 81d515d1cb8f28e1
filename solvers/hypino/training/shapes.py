"""Random domains: the square [-1, 1]² without up to four holes or a notch, analytic insides, boundary samples."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Shapes", "draw_shapes", "side_samples"]

HOLES, CORNERS = 4, 6
#: samples of the boundary of each hole
SAMPLES = 128


@dataclass(frozen=True)
class Shapes:
    """Holes of a batch of domains: disks, or convex polygons by their corners in counter-clockwise order."""

    on: Tensor
    disk: Tensor
    centre: Tensor
    radius: Tensor
    corners: Tensor

    def __getitem__(self, index: slice) -> Shapes:
        return Shapes(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    def to(self, device: torch.device | str) -> Shapes:
        return Shapes(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))

    def inside(self, X: Tensor, margin: float = 0.0) -> Tensor:
        """Whether points (2, n) or (B, 2, n) lie outside every hole, (B, n)."""
        return ~self.covered(X, margin).any(1)

    def covered(self, X: Tensor, margin: float = 0.0) -> Tensor:
        """Whether a hole, made smaller by `margin`, covers a point: (B, 4, n)."""
        if X.ndim == 2:
            X = X.expand(len(self.on), 2, X.shape[-1])
        d = X[:, None] - self.centre[:, :, :, None]
        in_disk = d.square().sum(2).sqrt() < self.radius[:, :, None] - margin
        start, edge = self._edges()
        outward = torch.stack([edge[..., 1], -edge[..., 0]], -1)
        length = edge.norm(dim=-1)
        # degenerate edges of polygons with fewer corners are never crossed
        level = (outward / length.clamp_min(1e-9)[..., None]) @ X[:, None] - (
            (outward / length.clamp_min(1e-9)[..., None]) * start
        ).sum(-1)[..., None]
        level = torch.where(length[..., None] > 1e-6, level, -torch.inf)
        in_polygon = level.amax(2) < -margin
        return torch.where(self.disk[:, :, None], in_disk, in_polygon) & self.on[:, :, None]

    def samples(self) -> tuple[Tensor, Tensor, Tensor]:
        """Points (B, 2, 4 S) evenly on the holes, normals out of the domain, and whether a point counts."""
        s = (torch.arange(SAMPLES, device=self.radius.device) + 0.5) / SAMPLES
        angle = 2 * math.pi * s
        ray = torch.stack([angle.cos(), angle.sin()])
        round_points = self.centre[..., None] + self.radius[:, :, None, None] * ray
        start, edge = self._edges()
        length = edge.norm(dim=-1)
        ends = length.cumsum(-1)
        at = s * ends[..., -1:]
        piece = (at[..., None] > ends[..., None, :]).sum(-1).clamp_max(CORNERS - 1)
        take = piece[..., None].expand(*piece.shape, 2)
        e, p = edge.gather(2, take), start.gather(2, take)
        size = length.gather(2, piece).clamp_min(1e-9)
        along = (at - (ends - length).gather(2, piece)) / size
        straight = (p + along[..., None] * e).transpose(-1, -2)
        normal = torch.stack([-e[..., 1], e[..., 0]], 2) / size[:, :, None]
        disk = self.disk[:, :, None, None]
        points = torch.where(disk, round_points, straight)
        normals = torch.where(disk, -ray.expand_as(round_points), normal)
        flat = points.transpose(1, 2).flatten(2)
        counts = self.on[:, :, None].expand(-1, -1, SAMPLES).flatten(1) & (flat.abs().amax(1) < 1)
        return flat, normals.transpose(1, 2).flatten(2), counts

    def _edges(self) -> tuple[Tensor, Tensor]:
        return self.corners, self.corners.roll(-1, 2) - self.corners


def side_samples(n: int, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """Points (2, 4 n) on the left, right, lower and upper side at pixel centres, and outward normals."""
    s = torch.linspace(-1 + 1 / n, 1 - 1 / n, n, device=device)
    one, zero = torch.ones_like(s), torch.zeros_like(s)
    points = [(-one, s), (one, s), (s, -one), (s, one)]
    normals = [(-one, zero), (one, zero), (zero, -one), (zero, one)]
    at, out = (torch.cat([torch.stack(pair) for pair in rows], 1) for rows in (points, normals))
    return at, out


def draw_shapes(n: int, generator: torch.Generator, notches: float = 0.08) -> Shapes:
    """Up to four holes each that do not touch; a share of `notches` have a corner of the square cut out instead of one.

    Examples
    --------
    >>> s = draw_shapes(3, torch.Generator().manual_seed(0))
    >>> s.inside(torch.zeros(2, 5)).shape
    torch.Size([3, 5])
    """
    rand = lambda *shape: torch.rand(*shape, generator=generator)  # noqa: E731
    radius = 0.08 + 0.34 * rand(n, HOLES) ** 1.3
    tries = 6
    centre = (2 * rand(n, HOLES, tries, 2) - 1) * (0.95 - radius)[:, :, None, None]
    count = torch.randint(HOLES + 1, (n,), generator=generator)
    notch = rand(n) < notches
    side = 0.4 + 0.8 * rand(n, 2)
    corner = torch.sign(rand(n, 2) - 0.5)
    chosen, on = centre[:, :, 0].clone(), torch.zeros(n, HOLES, dtype=torch.bool)
    for j in range(HOLES):
        gap = (
            (centre[:, j, :, None] - chosen[:, None, :j]).norm(dim=-1) - radius[:, None, :j] - radius[:, j, None, None]
        )
        free = ((gap > 0.05) | ~on[:, None, :j]).all(-1)
        # what is cut off a corner has the square's corner as its centre
        reach = (centre[:, j] - corner[:, None]).abs() - radius[:, j, None, None]
        free &= (reach > side[:, None] + 0.05).any(-1) | ~notch[:, None]
        first = free.to(torch.int8).argmax(1)
        chosen[:, j] = centre[torch.arange(n), j, first]
        on[:, j] = free.any(1) & (j < count)
    disk = rand(n, HOLES) < 0.4
    corners = _polygons(n, rand, generator) * radius[:, :, None, None] + chosen[:, :, None]
    box = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0], [-1.0, 1.0], [-1.0, 1.0]])
    cut = box * side[:, None] + corner[:, None]
    disk[:, 0] &= ~notch
    on[:, 0] |= notch
    chosen[:, 0] = torch.where(notch[:, None], corner, chosen[:, 0])
    corners[:, 0] = torch.where(notch[:, None, None], cut, corners[:, 0])
    return Shapes(on, disk, chosen, radius, corners)


def _polygons(n: int, rand, generator: torch.Generator) -> Tensor:
    """Corners (n, 4, 6, 2) on the unit circle: rectangles, or polygons with three to six corners."""
    number = torch.randint(3, CORNERS + 1, (n, HOLES, 1), generator=generator)
    index = torch.minimum(torch.arange(CORNERS), number - 1)
    jitter = 0.5 * (rand(n, HOLES, CORNERS) - 0.5).gather(2, index)
    angle = 2 * math.pi * (index + jitter) / number
    half = math.pi * (0.15 + 0.2 * rand(n, HOLES, 1))
    quarter = torch.cat([half, math.pi - half, math.pi + half, 2 * math.pi - half], -1)
    quarter = quarter[..., [0, 1, 2, 3, 3, 3]]
    angle = torch.where(rand(n, HOLES, 1) < 0.4, quarter, angle) + 2 * math.pi * rand(n, HOLES, 1)
    return torch.stack([angle.cos(), angle.sin()], -1)
