r"""The published loss: 1 interior + 1000 boundary + 1 convexity, means of squares at sampled points.

interior   m(xi + grad phi) det(I + H(phi)) / theta - 1,   theta the mean of m over the domain
boundary   n . grad phi, the normal displacement
convexity  min(0, 1 + phi_xx) and min(0, 1 + phi_yy)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from .network import Jets

__all__ = ["Derivatives", "Weights", "boundary_loss", "contracted", "convexity_loss", "interior_loss", "total_loss"]


class Weights(NamedTuple):
    """How much each part counts."""

    interior: float = 1.0
    boundary: float = 1000.0
    convexity: float = 1.0


PUBLISHED = Weights()


class Derivatives(NamedTuple):
    """First and second derivatives of the potential, each (b, p)."""

    x: Tensor
    y: Tensor
    xx: Tensor
    xy: Tensor
    yy: Tensor


def contracted(jets: Jets, weight: Tensor) -> Derivatives:
    """Of the potential with these weights (k,) of the features."""
    return Derivatives(*(part @ weight for part in jets[1:]))


def interior_loss(d: Derivatives, xi: Tensor, monitor: Callable[[Tensor], Tensor], theta: Tensor) -> Tensor:
    """Monge-Ampere residual at points (b, p, 2); `monitor` maps points (b, p, 2) to (b, p), theta is (b,)."""
    m = monitor(xi + torch.stack([d.x, d.y], dim=-1))
    residual = m * ((1 + d.xx) * (1 + d.yy) - d.xy**2) / theta[:, None] - 1
    return (residual**2).mean()


def boundary_loss(d: Derivatives, normals: Tensor) -> Tensor:
    """Normal displacement at boundary points with unit normals (b, p, 2)."""
    return ((d.x * normals[..., 0] + d.y * normals[..., 1]) ** 2).mean()


def convexity_loss(d: Derivatives) -> Tensor:
    """What is negative on the diagonal of I + H(phi)."""
    return ((1 + d.xx).clamp(max=0) ** 2 + (1 + d.yy).clamp(max=0) ** 2).mean()


def total_loss(interior: Tensor, boundary: Tensor, convexity: Tensor, weights: Weights = PUBLISHED) -> Tensor:
    """The weighted sum."""
    return weights.interior * interior + weights.boundary * boundary + weights.convexity * convexity
