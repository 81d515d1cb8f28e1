"""The network: a branch on the mesh that looks ahead, and one on a moved mesh, where the fields live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from meshmove.geometry import CellMesh, PointLocator
from meshmove.monitors.monitor import vertex_volumes

from .branch import Branch
from .graph import Graph
from .interpolation import Interpolation, Near
from .operators import Operators
from .seen import Seen

__all__ = ["Moved", "Settings", "State", "TwoBranches"]


@dataclass(frozen=True)
class Settings:
    """Sizes and parts of the network.

    `fields`, `attributes`, `boundaries`: names that it knows. `bundle`: frames that one pass predicts. `width` of the
    branches, `layers` of the one on the mesh, `corrections`: layers of the one on the moved mesh. `messages`:
    "operators" or "edges", see `Branch`; `reach` in edge lengths, 0 for none, and `directions` of far edges, for those.
    `moving`: whether there is a branch on a moved mesh. `learned`: whether a network of width `interpolation` weights
    the `neighbours` between meshes; if not, fields are carried linearly on cells.
    """

    fields: tuple[str, ...] = ("u",)
    attributes: tuple[str, ...] = ()
    boundaries: tuple[str, ...] = ()
    dim: int = 2
    bundle: int = 5
    width: int = 48
    layers: int = 7
    corrections: int = 5
    messages: str = "operators"
    neighbours: int = 10
    interpolation: int = 16
    reach: float = 0.0
    directions: int = 8
    moving: bool = False
    learned: bool = False


@dataclass(frozen=True, eq=False)
class Moved:
    """Nodes that have moved: `points` (N, d), `weight` (N,) the share of each in its moved mesh's volume, `operators`.

    `values` (N, F) there at the start of a bundle. Where fields come from and go to: `there` from the mesh, `back` to
    it, and `over` from the moved mesh of the bundle before, whose nodes were at `before`.
    """

    points: Tensor
    weight: Tensor
    operators: Operators
    values: Tensor
    there: Near
    back: Near
    over: Near | None = None
    before: Tensor | None = None

    @classmethod
    def of(
        cls,
        mesh: CellMesh,
        points: NDArray,
        values: Tensor,
        before: NDArray | None,
        neighbours: int,
        locator: PointLocator | None = None,
    ) -> Moved:
        """Of one mesh, with its nodes at `points`, and a bundle before at `before`; the rest as `Near.of` takes it."""
        x, moved = mesh.points, mesh.moved(np.asarray(points, float))
        volume = vertex_volumes(moved)
        last = None if before is None else mesh.moved(np.asarray(before, float))
        return cls(
            torch.tensor(moved.points, dtype=torch.float32),
            torch.tensor(volume / volume.sum(), dtype=torch.float32),
            Operators.of(mesh, moved.points),
            values,
            Near.of(mesh, moved.points, neighbours, locator),
            Near.of(moved, x, neighbours),
            None if last is None else Near.of(last, moved.points, neighbours),
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
        )

    def to(self, device: torch.device | str) -> Moved:
        return Moved(*(None if t is None else t.to(device) for t in vars(self).values()))  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class State:
    """What the network starts from: normalised values (N, F) on a graph, attributes (meshes, A), and moved nodes."""

    graph: Graph
    values: Tensor
    attributes: Tensor
    moved: Moved | None = None

    def to(self, device: torch.device | str) -> State:
        return State(*(None if t is None else t.to(device) for t in vars(self).values()))  # type: ignore[arg-type]


class TwoBranches(nn.Module):
    r"""The fields over a bundle of frames: what the branch on the mesh predicts,

    .. math:: p_k = u + s_k G_1(u)_k,

    is where nodes move to, and what the branch on the moved mesh corrects. There the fields have values of their own,
    v, which are carried over from one moved mesh to the next and never forgotten:

    .. math:: v_k = v + I_1 (p_k - u) + s_k G_2(v, v - I_1 u, I_1 (p - u) / s)_k, \qquad u_k = I_2 v_k

    with message passing :math:`G_1` on the mesh and :math:`G_2` on the moved mesh, interpolations :math:`I_1` to the
    moved nodes and :math:`I_2` back, and the usual size :math:`s_k` of a change over k frames. A front that is thinner
    than the mesh's cells stays as sharp as the moved mesh can hold it. Without the moving branch :math:`G_1` is all
    there is.

    References
    ----------
    Hu, Wang, Ma, Better neural PDE solvers through data-free mesh movers, ICLR 2024: there the moved mesh is given
    nothing but what the mesh knows, :math:`I_1 u`, for every bundle anew, and a residual path makes good what the way
    there and back loses.
    """

    unit: Tensor
    step: Tensor
    mean: Tensor
    std: Tensor
    change: Tensor
    attribute_mean: Tensor
    attribute_std: Tensor
    #: what it was trained on
    seen: Seen | None = None

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        s = self.settings = settings
        fields = len(s.fields)
        inputs = fields + len(s.attributes) + 2 + len(s.boundaries)
        outputs = s.bundle * fields
        self.still = Branch(inputs, outputs, s.dim, s.width, s.layers, s.messages)
        if s.moving:
            self.moving = Branch(inputs + fields + outputs, outputs, s.dim, s.width, s.corrections, s.messages)
            if s.learned:
                self.there, self.back, self.over = (Interpolation(fields, s.dim, s.interpolation) for _ in range(3))
        self.register_buffer("unit", torch.ones(()))  # mean edge length of the training meshes
        self.register_buffer("step", torch.ones(()))  # time between frames
        self.register_buffer("mean", torch.zeros(fields))
        self.register_buffer("std", torch.ones(fields))
        self.register_buffer("change", torch.ones(s.bundle, fields))  # usual size of a change after k frames
        self.register_buffer("attribute_mean", torch.zeros(len(s.attributes)))
        self.register_buffer("attribute_std", torch.ones(len(s.attributes)))

    def forward(self, state: State) -> Tensor:
        """Normalised values (N, bundle, F) of the next frames at the nodes of the mesh."""
        predicted = self.predicted(state)
        return self.returned(state, self.evolved(state, predicted)) if self.settings.moving else predicted

    def predicted(self, state: State) -> Tensor:
        """Values (N, bundle, F) by the branch on the mesh alone."""
        g, u = state.graph, state.values
        out = self.still(torch.cat([u, self._own(state)], 1), g, self.unit)
        return u[:, None] + self.change * out.view(len(u), self.settings.bundle, -1)

    def evolved(self, state: State, predicted: Tensor) -> Tensor:
        """Values (N, bundle, F) at the moved nodes, from what the other branch has predicted."""
        g, u, moved = state.graph, state.values, state.moved
        assert moved is not None
        v = moved.values
        both = torch.cat([u[:, None], predicted], 1)
        there = self._carried("there", moved.there, g.points, moved.points, u, both)
        ahead = there[:, 1:] - there[:, :1]
        inputs = [v, v - there[:, 0], (ahead / self.change).flatten(1), self._own(state)]
        out = self.moving(torch.cat(inputs, 1), g.moved(moved.points, moved.operators), self.unit)
        return v[:, None] + ahead + self.change * out.view(len(u), self.settings.bundle, -1)

    def returned(self, state: State, values: Tensor) -> Tensor:
        """Values (N, bundle, F) at the nodes of the mesh from those at the moved ones."""
        m = state.moved
        assert m is not None
        return self._carried("back", m.back, m.points, state.graph.points, m.values, values)

    def taken_over(self, moved: Moved, values: Tensor) -> Tensor:
        """Values (N, F) at moved nodes from those at the moved nodes of the bundle before."""
        assert moved.over is not None and moved.before is not None
        return self._carried("over", moved.over, moved.before, moved.points, values, values)

    def taken_there(self, state: State, values: Tensor) -> Tensor:
        """Values (N, F) at the moved nodes from those at the nodes of the mesh."""
        m = state.moved
        assert m is not None
        return self._carried("there", m.there, state.graph.points, m.points, state.values, values)

    def _carried(self, way: str, near: Near, source: Tensor, target: Tensor, seen: Tensor, values: Tensor) -> Tensor:
        """Values (N, ...) at the target, by weights that a network may choose from values (N, F) that it sees."""
        if not self.settings.learned:
            return near(values)
        net: Interpolation = getattr(self, way)
        return near(values, net(seen, source, target, near.ids))

    def _own(self, state: State) -> Tensor:
        """What nodes know but for the fields: attributes and kinds (N, ...)."""
        return torch.cat([state.attributes[state.graph.owner], state.graph.kinds], 1)

    def normalised(self, values: Tensor) -> Tensor:
        """Values (..., F) with the training data's mean and size taken off."""
        return (values - self.mean.to(values)) / self.std.to(values)

    def physical(self, values: Tensor) -> Tensor:
        """The inverse of `normalised`."""
        return values * self.std.to(values) + self.mean.to(values)
