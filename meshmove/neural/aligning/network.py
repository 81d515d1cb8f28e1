r"""The network that aligns: from invariants of a mesh and a field's Hessians to strains that its cells should undergo.

A round writes two symmetric tensors a cell, combinations of I, the Hessian H, the cell's own shape M and what it went
through, B = J J^T, with coefficients that a message-passing network emits. The first, sigma, is what the displacement's
gradient should be; the displacement is the one that comes closest to it,

.. math:: \min_{dx} \sum_K |K_0| \, | \nabla_0 dx - \sigma_K J_K |^2,

one solve with the Laplacian of the mesh at rest, which all rounds share, so that cells travel as far as they
must. The second does the same by one Jacobi step on the moved mesh, so that neighbours part as they must. All that the
network sees is invariant to rotation, reflection, numbering, and to the scale of mesh and field; so what it moves turns
with them.

Writing Jacobians and reconstructing the map from them: Aigerman and others, Neural Jacobian Fields, ACM Trans. Graph.
41, 2022; the objective is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from meshmove.geometry import CellMesh
from meshmove.learning.weights import WeightsError, read_weights, write_weights

from ..dmm import FOLDER
from .features import CELL, EDGE, NODE, View, viewed
from .fields import FieldBatch
from .guard import let_through
from .triangles import Triangles

__all__ = ["Aligner", "Settings"]

Hessians = Callable[[Tensor], Tensor]

#: tensors that strains are made of, and the largest coefficient of each
BASIS, LARGEST = 4, 0.8


@dataclass(frozen=True)
class Settings:
    """What a model is built from; stored with its weights."""

    width: int = 48
    layers: int = 3
    rounds: int = 5


class _Messages(nn.Module):
    """h + MLP(h, mean over neighbours of silu(send(h_j) + receive(h_i) + edge)); linear maps act before gathering."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.send, self.receive = nn.Linear(width, width, bias=False), nn.Linear(width, width)
        self.edge = nn.Linear(EDGE, width, bias=False)
        self.mix = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, h: Tensor, edges: Tensor, of_edge: Tensor, degree: Tensor) -> Tensor:
        i, j = edges
        sent = nn.functional.silu(
            self.send(h).index_select(0, j) + self.receive(h).index_select(0, i) + self.edge(of_edge)
        )
        heard = torch.zeros_like(h).index_add(0, i, sent) / degree
        return h + self.mix(torch.cat([h, heard], 1))


class Aligner(nn.Module):
    """Moves the nodes of triangle meshes such that the error of a field's interpolant falls; see the module."""

    def __init__(self, settings: Settings = Settings()) -> None:  # noqa: B008
        super().__init__()
        self.settings = s = settings
        self.embed = nn.Sequential(nn.Linear(NODE, s.width), nn.SiLU(), nn.Linear(s.width, s.width))
        self.messages = nn.ModuleList(_Messages(s.width) for _ in range(s.layers))
        self.around, self.inside = nn.Linear(s.width, s.width, bias=False), nn.Linear(CELL, s.width)
        self.head = nn.Sequential(nn.SiLU(), nn.Linear(s.width, s.width), nn.SiLU(), nn.Linear(s.width, 2 * BASIS))
        last = cast(nn.Linear, self.head[-1])
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path = "aligner-2d") -> Aligner:
        """A trained model: shipped with the package by name, or a file that `save_pretrained` wrote.

        Raises
        ------
        WeightsError
            If there is no such model, or its file is truncated, altered, or of another kind or version.
        """
        settings, tensors = read_weights(name_or_path, "aligner", FOLDER)
        try:
            model = cls(Settings(**cast(dict[str, Any], settings)))
            model.load_state_dict({k: v.float() for k, v in tensors.items()})
        except (TypeError, RuntimeError) as error:
            raise WeightsError(f"Expected the weights of an Aligner in {name_or_path} (got others: {error})") from error
        return model.eval()

    def save_pretrained(self, path: str | Path) -> Path:
        """Write the weights to a .safetensors file."""
        return write_weights(path, "aligner", asdict(self.settings), self.state_dict())

    def coefficients(self, batch: Triangles, view: View) -> Tensor:
        """(c, 2 BASIS), of both strains of every cell."""
        dtype = self.inside.weight.dtype
        of_node, of_edge, of_cell = (t.to(dtype) for t in (view.of_node, view.of_edge, view.of_cell))
        degree = torch.bincount(batch.edges[0], minlength=len(batch.points)).clamp_min(1).to(of_node)[:, None]
        h = self.embed(of_node)
        for layer in self.messages:
            h = layer(h, batch.edges, of_edge, degree)
        at = self.around(h)
        mean = sum(at.index_select(0, v) for v in batch.cells.unbind(1)) / 3
        return LARGEST * torch.tanh(self.head(mean + self.inside(of_cell)))

    def proposed(self, batch: Triangles, x: Tensor, hessian: Tensor) -> Tensor:
        """The step (n, 2) of a round from x, for Hessians (c, 3, 3) at the vertices of every cell there."""
        view = viewed(batch, x, hessian)
        coefficients = self.coefficients(batch, view).to(x).T
        far, near = ((coefficients[k] * view.basis).sum(1) for k in (slice(0, BASIS), slice(BASIS, None)))
        j, slopes = view.jacobian, view.slopes
        strain = batch.area * torch.stack([far[0] * j[0] + far[1] * j[1], far[1] * j[0] + far[2] * j[1]])
        rest = batch.slopes.permute(2, 1, 0)
        force = batch.scatter((strain[:, 0, None] * rest[0] + strain[:, 1, None] * rest[1]).permute(2, 1, 0))
        step = batch.lift(batch.project(force))
        pull = view.size * torch.stack(
            [near[0] * slopes[0] + near[1] * slopes[1], near[1] * slopes[0] + near[2] * slopes[1]]
        )
        stiff = view.size * (slopes * slopes).sum(0)
        local = batch.scatter(torch.cat([pull, stiff[None]]).permute(2, 1, 0))
        step = step + local[:, :2] / local[:, 2:].clamp_min(1e-12)
        return batch.project(step) * view.curved.index_select(0, batch.node_graph)[:, None]

    def move(
        self, meshes: Sequence[CellMesh] | FieldBatch, fields: Sequence[NDArray | Tensor], rounds: int | None = None
    ) -> list[Tensor]:
        """Positions (n_i, 2) of many meshes at once, each for a field of its own (n_i,), without inverted cells.

        On the device of a `FieldBatch`, or on that of the weights; differentiable by field values and weights.
        Nothing judges the result: that is left to `adapt`. Nodes glide along straight sides; those of curved
        boundaries are held.

        Raises
        ------
        UnsupportedMeshError
            A mesh has other cells than triangles of the plane.
        FieldError
            Not one finite value for each node.

        Examples
        --------
        >>> corners = [[0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0.5]]
        >>> square = CellMesh.single(corners, [[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]], "triangle")
        >>> [x.shape for x in Aligner().move([square, square], [[0, 1, 2, 1, 1.2], [0, 1, 4, 1, 1.1]])]
        [torch.Size([5, 2]), torch.Size([5, 2])]
        """
        device = self.inside.weight.device
        batch = meshes if isinstance(meshes, FieldBatch) else FieldBatch.of(meshes, device)
        found = self(batch.batch, batch.hessians(batch.joined(fields)), rounds=rounds)
        return batch.back(found[-1][0])

    def forward(
        self, batch: Triangles, hessians: Hessians, start: Tensor | None = None, rounds: int | None = None
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Each round's positions (n, 2), where it would have gone without the guard, and the share let through (B,)."""
        x = batch.points if start is None else start
        out = []
        for _ in range(self.settings.rounds if rounds is None else rounds):
            wish = x + self.proposed(batch, x, hessians(x))
            x, share = let_through(batch, x, wish - x)
            out.append((x, wish, share))
        return out
