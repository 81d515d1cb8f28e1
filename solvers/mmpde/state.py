"""What the network sees at one frame: fields on the mesh, and on the moved one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from meshmove.geometry import CellMesh, PointLocator
from meshmove.geometry.quality import vertex_volumes

from .correcting.based import Based, based_of
from .graph import Graph
from .interpolation import Near
from .operators import Operators

if TYPE_CHECKING:
    from .network import TwoBranches

__all__ = ["Moved", "State", "state_of"]


@dataclass(frozen=True, eq=False)
class Moved:
    """Nodes that have moved: `points` (N, d), `weight` (N,) the share of each in its moved mesh's volume, `operators`.

    `values` (N, F) there at the start of a bundle. Where fields come from and go to: `there` from the mesh, `back` to
    it, and `over` from the moved mesh of the bundle before, whose nodes were at `before`. `based`: steps of the base
    there, if it makes such.
    """

    points: Tensor
    weight: Tensor
    operators: Operators
    values: Tensor
    there: Near
    back: Near
    over: Near | None = None
    before: Tensor | None = None
    based: Based | None = None

    @classmethod
    def of(
        cls,
        mesh: CellMesh,
        points: NDArray,
        values: Tensor,
        before: NDArray | None,
        neighbours: int,
        locator: PointLocator | None = None,
        operators: Operators | None = None,
    ) -> Moved:
        """Of one mesh, with its nodes at `points`, and a bundle before at `before`; the rest as `Near.of` takes it.
        With the `operators` of the mesh itself what is carried bends between nodes."""
        x, moved = mesh.points, mesh.moved(np.asarray(points, float))
        volume = vertex_volumes(moved)
        last = None if before is None else mesh.moved(np.asarray(before, float))
        there, bends = Operators.of(mesh, moved.points), operators is not None
        then = Operators.of(mesh, last.points) if bends and last is not None else None
        return cls(
            torch.tensor(moved.points, dtype=torch.float32),
            torch.tensor(volume / volume.sum(), dtype=torch.float32),
            there,
            values,
            Near.of(mesh, moved.points, neighbours, locator, operators),
            Near.of(moved, x, neighbours, operators=there if bends else None),
            None if last is None else Near.of(last, moved.points, neighbours, operators=then),
            None if last is None else torch.tensor(last.points, dtype=torch.float32),
        )

    @classmethod
    def join(cls, parts: Sequence[Moved]) -> Moved:
        """Several side by side."""
        if len(parts) == 1:
            return parts[0]
        over, before = [p.over for p in parts if p.over], [p.before for p in parts if p.before is not None]
        return cls(
            torch.cat([p.points for p in parts]),
            torch.cat([p.weight for p in parts]),
            Operators.join([p.operators for p in parts]),
            torch.cat([p.values for p in parts]),
            Near.join([p.there for p in parts]),
            Near.join([p.back for p in parts]),
            Near.join(over) if over else None,
            torch.cat(before) if before else None,
            Based.join([p.based for p in parts if p.based]) if parts[0].based else None,
        )

    def to(self, device: torch.device | str) -> Moved:
        return Moved(*(None if t is None else t.to(device) for t in vars(self).values()))  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class State:
    """What the network starts from: normalised values (N, F) on a graph, attributes (meshes, A), moved nodes, and what
    the base that it corrects makes of the values."""

    graph: Graph
    values: Tensor
    attributes: Tensor
    moved: Moved | None = None
    based: Based | None = None

    def to(self, device: torch.device | str) -> State:
        return State(*(None if t is None else t.to(device) for t in vars(self).values()))  # type: ignore[arg-type]


def state_of(
    model: TwoBranches,
    graphs: Sequence[Graph],
    values: Sequence[NDArray],
    attributes: Sequence[Sequence[float]],
    moved: Sequence[Moved] | None = None,
    based: Sequence[NDArray | None] | None = None,
) -> State:
    """The state of some meshes side by side, from values (n, F), attributes (A,) and the moved mesh of each; `based`:
    the base's frames (n, bundle, F) on each, where they are known."""
    joined = Graph.join(graphs)
    u = model.normalised(torch.from_numpy(np.concatenate(values)).float())
    a = torch.tensor(np.array(attributes, np.float64).reshape(len(graphs), -1), dtype=torch.float32)
    a = (a - model.attribute_mean.cpu()) / model.attribute_std.cpu()
    known = None
    if model.settings.base:
        meshes: list[Any] = [g.operators.mesh for g in graphs]
        frames = based or [None] * len(meshes)
        known = Based.join([based_of(model, *each) for each in zip(meshes, values, attributes, frames, strict=True)])
    return State(joined, u, a, None if moved is None else Moved.join(moved), known)
