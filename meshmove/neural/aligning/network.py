"""The network that aligns: from invariants of a mesh and a field's Hessians to strains that its cells should undergo.

A round writes two symmetric tensors a cell, combinations of I, the Hessian H, the cell's own shape M and what it went
through, B = J J^T, with coefficients that a message-passing network emits. The first is what the displacement's
gradient should be, by one solve with the Laplacian of the mesh at rest, which all rounds share, so that cells travel as
far as they must. The second acts by one Jacobi step on the moved mesh, so that neighbours part as they must (see
`strains`). All that the network sees is invariant to rotation, reflection, numbering, and to the scale of mesh and
field; so what it moves turns with them.

Writing Jacobians and reconstructing the map from them: Aigerman and others, Neural Jacobian Fields, ACM Trans. Graph.
41, 2022; the objective is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from meshmove.geometry import CellMesh, UnsupportedMeshError
from meshmove.learning.weights import WeightsError, read_weights, write_weights

from ..dmm import FOLDER
from .features import CELL, EDGE, NODE, Mesh, View, viewed
from .fields import FieldBatch
from .guard import let_through
from .meshes.arrays import Values
from .meshes.on_arrays import coefficients
from .meshes.simplices import Simplices
from .predicted import best_of
from .strains import BASIS, TURNS, step_of

__all__ = ["Aligner", "Settings"]

Hessians = Callable[[Tensor], Tensor]

#: the largest coefficient of each tensor that strains are made of
LARGEST = 0.8


@dataclass(frozen=True)
class Settings:
    """What a model is built from; stored with its weights.

    `turns`: whether strains have an antisymmetric part; `dim`: of space.
    """

    width: int = 48
    layers: int = 3
    rounds: int = 5
    turns: bool = False
    dim: int = 2


class _Messages(nn.Module):
    """h + MLP(h, mean over neighbours of silu(send(h_j) + receive(h_i) + edge)); linear maps act before gathering."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.send, self.receive = nn.Linear(width, width, bias=False), nn.Linear(width, width)
        self.edge = nn.Linear(EDGE, width, bias=False)
        self.mix = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, h: Tensor, edges: Tensor, of_edge: Tensor, degree: Tensor) -> Tensor:
        i, j = edges
        sent = self.send(h).index_select(0, j) + self.receive(h).index_select(0, i) + self.edge(of_edge)
        heard = torch.zeros_like(h).index_add_(0, i, nn.functional.silu(sent))
        return h + self.mix(torch.cat([h, heard / degree], 1))


class Aligner(nn.Module):
    """Moves the nodes of meshes such that the error of a field's interpolant falls; see the module."""

    def __init__(self, settings: Settings = Settings()) -> None:  # noqa: B008
        super().__init__()
        self.settings = s = settings
        outputs = 2 * (BASIS[s.dim] + TURNS[s.dim] * s.turns)
        self.embed = nn.Sequential(nn.Linear(NODE[s.dim], s.width), nn.SiLU(), nn.Linear(s.width, s.width))
        self.messages = nn.ModuleList(_Messages(s.width) for _ in range(s.layers))
        self.around, self.inside = nn.Linear(s.width, s.width, bias=False), nn.Linear(CELL[s.dim], s.width)
        self.head = nn.Sequential(nn.SiLU(), nn.Linear(s.width, s.width), nn.SiLU(), nn.Linear(s.width, outputs))
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
            with torch.random.fork_rng():  # weights are drawn, to be replaced
                model = cls(Settings(**cast(dict[str, Any], settings)))
            model.load_state_dict({k: v.float() for k, v in tensors.items()})
        except (TypeError, RuntimeError) as error:
            raise WeightsError(f"Expected the weights of an Aligner in {name_or_path} (got others: {error})") from error
        return model.eval()

    def save_pretrained(self, path: str | Path) -> Path:
        """Write the weights to a .safetensors file."""
        return write_weights(path, "aligner", asdict(self.settings), self.state_dict())

    def turning(self) -> Aligner:
        """The same with turns, of which it asks for none."""
        out = Aligner(replace(self.settings, turns=True)).to(self.inside.weight)
        known = self.state_dict()
        for key, value in out.state_dict().items():
            value[: len(known[key])] = known[key]
        return out

    @torch.no_grad()
    def in_space(self, rounds: int | None = None) -> Aligner:
        """A network for space with the weights of this one for the plane; `rounds`: of its training.

        Features and tensors mean the same in both. Those that only space has do not count, and are not asked for.
        """
        plane = self.turning()
        out = Aligner(replace(plane.settings, dim=3, rounds=self.settings.rounds if rounds is None else rounds))
        cell, node = CELL[2], NODE[2] - CELL[2]  # features of nodes: means of the cells', then their own
        kept = {
            "embed.0.weight": (1, [*range(cell), *range(CELL[3], CELL[3] + node)]),
            "inside.weight": (1, range(cell)),
        }
        rows = [*range(BASIS[2]), *range(BASIS[3], BASIS[3] + BASIS[2])]
        rows += [2 * BASIS[3] + k * TURNS[3] + i for k in (0, 1) for i in range(TURNS[2])]
        kept |= {"head.3.weight": (0, rows), "head.3.bias": (0, rows)}
        known = plane.state_dict()
        for key, value in out.state_dict().items():
            if key in kept:
                axis, where = kept[key]
                value.zero_().index_copy_(axis, torch.tensor(list(where)), known[key])
            else:
                value.copy_(known[key])
        return out.to(self.inside.weight)

    def coefficients(self, mesh: Mesh, view: View) -> Values:
        """(c, 2 BASIS) or, with turns, (c, 2 (BASIS + TURNS)), of both strains of every cell: a tensor, or of one mesh
        an array."""
        weight = self.inside.weight
        features = [torch.as_tensor(v).to(weight) for v in (view.of_node, view.of_edge, view.of_cell)]
        if isinstance(mesh, Simplices) and (torch.is_grad_enabled() or weight.device.type != "cpu"):
            return LARGEST * torch.tanh(self._together(mesh, *features))
        found = LARGEST * np.tanh(coefficients(self, mesh.neighbours, *(v.numpy() for v in features)))
        return torch.from_numpy(found) if isinstance(mesh, Simplices) else found

    def _together(self, mesh: Simplices, of_node: Tensor, of_edge: Tensor, of_cell: Tensor) -> Tensor:
        """(c, outputs), of all edges and cells at once: with derivatives, or on an accelerator."""
        degree, h = mesh.degree.to(of_node)[:, None], self.embed(of_node)
        for layer in self.messages:
            h = layer(h, mesh.edges, of_edge, degree)
        at = self.around(h)
        first, *others = (at.index_select(0, v) for v in mesh.vertices)
        return self.head(sum(others, first) / (1 + len(others)) + self.inside(of_cell))

    def proposed(self, mesh: Mesh, x: Values, hessian: Values) -> Values:
        """The step (n, dim) of a round from x, for the mean Hessian (k, c) of every cell there; of arrays an array."""
        view = viewed(mesh, x, hessian)
        found = self.coefficients(mesh, view)
        return step_of(mesh, view, (found.to(x) if isinstance(x, Tensor) else found.astype(x.dtype)).T)

    def move(
        self,
        meshes: Sequence[CellMesh] | FieldBatch,
        fields: Sequence[NDArray | Tensor],
        rounds: int | None = None,
        judged: bool = False,
    ) -> list[Tensor]:
        """Positions (n_i, dim) of many meshes at once, each for a field of its own (n_i,), without inverted cells.

        On the device of a `FieldBatch`, or on that of the weights; differentiable by field values and weights.
        Nodes glide along straight sides; those of curved boundaries are held. `judged`: each mesh is that after the
        round which has the least predicted error, or as it came where none has less; else that after the last round.

        Raises
        ------
        UnsupportedMeshError
            Meshes of the other dimension, of several kinds of cells, or of others than triangles, quadrilaterals,
            tetrahedra and hexahedra.
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
        own, dim = self.settings.dim, batch.batch.dim
        if own != dim:
            raise UnsupportedMeshError(
                f"Expected {own}-D meshes, as the network was trained on (got {dim}-D ones): load 'aligner-{dim}d'"
            )
        hessians = batch.hessians(batch.joined(fields), relative=True)
        found = [x for x, *_ in self(batch.batch, hessians, rounds=rounds)]
        if not judged:
            return batch.back(found[-1])
        found = [batch.batch.points, *found]
        which = best_of(batch.batch, hessians, found)
        return batch.back(sum(torch.where((which == k)[:, None], x, 0.0) for k, x in enumerate(found)))

    def forward(
        self, batch: Simplices, hessians: Hessians, start: Tensor | None = None, rounds: int | None = None
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Each round's positions (n, dim), where it would have gone unguarded, and the share let through (B,)."""
        x = batch.points if start is None else start
        out = []
        for _ in range(self.settings.rounds if rounds is None else rounds):
            wish = x + self.proposed(batch, x, hessians(x).mean(1).T)
            x, share = let_through(batch, x, wish - x)
            out.append((x, wish, share))
        return out
