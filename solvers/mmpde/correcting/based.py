"""What the base makes of the fields that a model starts from, on one mesh or several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array

from .base import Base, BaseError

if TYPE_CHECKING:
    from meshmove.solvers.mmpde.network import TwoBranches

__all__ = ["FAR", "Based", "base_of", "based_of", "frames_of"]


#: factor outside of the ranges of attributes and sizes of cells from which on nothing is corrected
FAR = 3.0


@dataclass(frozen=True, eq=False)
class Based:
    """Normalised `frames` (N, bundle, F) and `numbers` (N, K) of the base, the `share` (N, 1) of corrections that the
    ranges of training allow for; and on which meshes, with which attributes, it has to go on."""

    frames: Tensor
    numbers: Tensor
    share: Tensor
    meshes: tuple[CellMesh, ...]
    attributes: tuple[tuple[float, ...], ...]

    @classmethod
    def join(cls, parts: Sequence[Based]) -> Based:
        """Several side by side."""
        meshes: tuple[CellMesh, ...] = sum((p.meshes for p in parts), ())
        attributes: tuple[tuple[float, ...], ...] = sum((p.attributes for p in parts), ())
        frames, numbers = torch.cat([p.frames for p in parts]), torch.cat([p.numbers for p in parts])
        return cls(frames, numbers, torch.cat([p.share for p in parts]), meshes, attributes)

    def gone_on(self, model: TwoBranches, values: Tensor) -> Based:
        """The same from other values (N, F), normalised."""
        ends = np.cumsum([m.n_points for m in self.meshes])[:-1]
        starts = np.split(model.physical(values.detach()).cpu().double().numpy(), ends)
        each = zip(self.meshes, starts, self.attributes, strict=True)
        return Based.join([based_of(model, *given) for given in each]).to(values.device)

    def to(self, device: torch.device | str) -> Based:
        return Based(
            self.frames.to(device), self.numbers.to(device), self.share.to(device), self.meshes, self.attributes
        )


def step_of(model: TwoBranches) -> float:
    """The time between frames, without the digits that single precision adds to 0.1."""
    return float(f"{float(model.step):.7g}")


def base_of(model: TwoBranches) -> Base:
    """The base of a model that corrects one.

    Raises
    ------
    BaseError
        It has none.
    """
    if model.base is None:
        raise BaseError(f"Expected the base {model.settings.base!r}, which this model corrects (got none): give it by "
                        "MMPDE(settings, base=step) or MMPDE.from_pretrained(name, base=step)")  # fmt: skip
    return model.base


def frames_of(model: TwoBranches, mesh: CellMesh, values: Array, attributes: Sequence[float]) -> Array:
    """Values (n, bundle, F) of the base's next frames, from those (n, F) at the start."""
    s = model.settings
    named = dict(zip(s.attributes, map(float, attributes), strict=True))
    values = np.asarray(values, float)
    return base_of(model).frames(mesh, values, s.fields, named, step_of(model), s.bundle, s.leap)


def based_of(
    model: TwoBranches, mesh: CellMesh, values: Array, attributes: Sequence[float], frames: Array | None = None
) -> Based:
    """What the base says of values (n, F) on a mesh; its `frames`, if they are known."""
    s = model.settings
    if frames is None:
        frames = frames_of(model, mesh, values, attributes)
    named = dict(zip(s.attributes, map(float, attributes), strict=True))
    numbers = base_of(model).described(mesh, np.asarray(values, float), s.fields, named, step_of(model))
    normalised = model.normalised(torch.from_numpy(np.ascontiguousarray(frames))).float().cpu()
    own = tuple(float(v) for v in attributes)
    share = np.ones(len(frames)) if model.seen is None else model.seen.near(mesh, own, FAR)
    known = torch.from_numpy(numbers).float(), torch.from_numpy(share).float()[:, None]
    return Based(normalised, *known, (mesh,), (own,))
