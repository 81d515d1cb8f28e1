"""The network: a branch on the mesh, and another on a moved mesh, joined by learned interpolation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .branch import Branch
from .graph import Graph
from .interpolation import Interpolation, nearest
from .operators import Operators

__all__ = ["Settings", "State", "TwoBranches"]


@dataclass(frozen=True)
class Settings:
    """Sizes and parts of the network.

    `fields`, `attributes`, `boundaries`: names that it knows. `bundle`: frames that one pass predicts. `width` of the
    branches, `layers` of the one on the mesh, `corrections`: layers of the one on the moved mesh. `messages`:
    "operators" or "edges", see `Branch`; `reach` in edge lengths, 0 for none, and `directions` of far edges, for those.
    `neighbours` of an interpolation, `interpolation`: width of its network. Parts that can be left out: the `moving`
    branch, the `learned` weights of the interpolation, the residual `cut`.
    """

    fields: tuple[str, ...] = ("u",)
    attributes: tuple[str, ...] = ()
    boundaries: tuple[str, ...] = ()
    dim: int = 2
    bundle: int = 5
    width: int = 48
    layers: int = 7
    corrections: int = 3
    messages: str = "operators"
    neighbours: int = 10
    interpolation: int = 16
    reach: float = 0.0
    directions: int = 8
    moving: bool = False
    learned: bool = True
    cut: bool = True


@dataclass(frozen=True, eq=False)
class State:
    """What the network starts from: normalised values (N, F) on a graph, attributes (meshes, A), where nodes move.

    `moved` (N, d); `there` (N, K) ids of the graph's nodes near each moved node, `back` (N, K) ids of the moved nodes
    near each node of the graph; `operators` on the moved mesh.
    """

    graph: Graph
    values: Tensor
    attributes: Tensor
    moved: Tensor | None = None
    there: Tensor | None = None
    back: Tensor | None = None
    operators: Operators | None = None

    def moved_to(self, graphs: Sequence[Graph], positions: Sequence[NDArray], neighbours: int) -> State:
        """The same with moved nodes at positions (n, d) of each of the graphs that were joined."""
        there, back, operators, first = [], [], [], 0
        for graph, moved in zip(graphs, positions, strict=True):
            still = graph.points.cpu().numpy()
            there.append(nearest(still, moved, neighbours) + first)
            back.append(nearest(moved, still, neighbours) + first)
            assert graph.operators.mesh is not None  # of a single mesh
            operators.append(Operators.of(graph.operators.mesh, moved))
            first += len(still)
        return replace(
            self,
            moved=torch.from_numpy(np.concatenate(positions)).float(),
            there=torch.from_numpy(np.concatenate(there)),
            back=torch.from_numpy(np.concatenate(back)),
            operators=Operators.join(operators),
        )

    def to(self, device: torch.device | str) -> State:
        return State(*(None if t is None else t.to(device) for t in vars(self).values()))  # type: ignore[arg-type]


class TwoBranches(nn.Module):
    r"""Changes of the fields over a bundle of frames:

    .. math:: u^{t+k} = u^t + s_k (G_1(u) + I_2 G_2(I_1 u, I_1 G_1(u)) + R(u, u - I_2 I_1 u))_k

    with message passing :math:`G_1` on the mesh and :math:`G_2` on the moved mesh, learned interpolations :math:`I_1`
    to the moved nodes and :math:`I_2` back, a network R of each node's own values that makes good what interpolation
    loses, and the usual size :math:`s_k` of a change over k frames. The first branch alone is a prediction too: nodes
    move to where its last frame wants them, beside the start, and the second branch corrects it there. Without the
    moving branch :math:`G_1` is all there is.

    References
    ----------
    Hu, Wang, Ma, Better neural PDE solvers through data-free mesh movers, ICLR 2024: there :math:`G_2` sees
    :math:`I_1 u` alone, on a mesh moved for the start.
    """

    unit: Tensor
    step: Tensor
    mean: Tensor
    std: Tensor
    change: Tensor
    attribute_mean: Tensor
    attribute_std: Tensor

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        s = self.settings = settings
        fields = len(s.fields)
        inputs = fields + len(s.attributes) + 2 + len(s.boundaries)
        outputs = s.bundle * fields
        self.still = Branch(inputs, outputs, s.dim, s.width, s.layers, s.messages)
        if s.moving:
            width = s.interpolation if s.learned else 0
            self.moving = Branch(inputs + outputs, outputs, s.dim, s.width, s.corrections, s.messages)
            self.there, self.back = (Interpolation(fields, s.dim, width) for _ in range(2))
            if s.cut:
                self.cut = nn.Sequential(nn.Linear(fields + inputs, s.width), nn.SiLU(), nn.Linear(s.width, outputs))
        self.register_buffer("unit", torch.ones(()))  # mean edge length of the training meshes
        self.register_buffer("step", torch.ones(()))  # time between frames
        self.register_buffer("mean", torch.zeros(fields))
        self.register_buffer("std", torch.ones(fields))
        self.register_buffer("change", torch.ones(s.bundle, fields))  # usual size of a change after k frames
        self.register_buffer("attribute_mean", torch.zeros(len(s.attributes)))
        self.register_buffer("attribute_std", torch.ones(len(s.attributes)))

    def forward(self, state: State) -> Tensor:
        """Normalised values (N, bundle, F) of the next frames."""
        return self.corrected(state, self.predicted(state)) if self.settings.moving else self.predicted(state)

    def predicted(self, state: State) -> Tensor:
        """Values (N, bundle, F) by the branch on the mesh alone."""
        g, u = state.graph, state.values
        out = self.still(torch.cat([u, self._own(state)], 1), g, self.unit)
        return u[:, None] + self.change * out.view(len(u), self.settings.bundle, -1)

    def corrected(self, state: State, predicted: Tensor) -> Tensor:
        """Values (N, bundle, F) by both branches, from what the first has predicted."""
        g, u, own = state.graph, state.values, self._own(state)
        assert state.moved is not None and state.operators is not None
        there, back, moved, returned = self.interpolate(state)
        changes = ((predicted - u[:, None]) / self.change).flatten(1)
        ahead = self.there(there, state.there, changes)
        out = self.moving(torch.cat([moved, ahead, own], 1), g.moved(state.moved, state.operators), self.unit)
        out = self.back(back, state.back, out)
        if self.settings.cut:
            out = out + self.cut(torch.cat([u, u - returned, own], 1))
        return predicted + self.change * out.view(len(u), self.settings.bundle, -1)

    def _own(self, state: State) -> Tensor:
        """What nodes know but for the fields: attributes and kinds (N, ...)."""
        return torch.cat([state.attributes[state.graph.owner], state.graph.kinds], 1)

    def normalised(self, values: Tensor) -> Tensor:
        """Values (..., F) with the training data's mean and size taken off."""
        return (values - self.mean.to(values)) / self.std.to(values)

    def physical(self, values: Tensor) -> Tensor:
        """The inverse of `normalised`."""
        return values * self.std.to(values) + self.mean.to(values)

    def interpolate(self, state: State) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The weights there and back, and values (N, F) at the moved nodes and, from these, at the nodes again."""
        x, y, u = state.graph.points, state.moved, state.values
        there = self.there.weights(u, x, y, state.there)
        moved = self.there(there, state.there, u)
        back = self.back.weights(moved, y, x, state.back)
        return there, back, moved, self.back(back, state.back, moved)
