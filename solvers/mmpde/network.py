"""The network: a branch on the mesh that looks ahead, and one on a moved mesh, where the fields live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from meshmove.geometry import CellMesh
from meshmove.learning.weights import WeightsError, read_weights, write_weights
from meshmove.monitors import Monitor
from meshmove.motion.frames import MONITOR, Moving
from meshmove.movers import Mover

from .branch import Branch, Settings
from .correcting.base import Base, Step, matching
from .correcting.based import Based
from .correcting.gate import LEAST, Gate, roughness
from .graph import Graph
from .interpolation import Interpolation, Near, Placed
from .prior.seen import Seen
from .state import Moved, State

__all__ = ["Settings", "TwoBranches"]

KIND, FOLDER = "mmpde", Path(__file__).parent / "weights"
#: layers of the network that makes good what the way back loses
CUT = 2


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

    With a base, a solver whose next frames are :math:`b_k`, the branches correct it: :math:`p_k = b_k + g r s_k
    G_1(u, b - u)_k`, in units of how rough the fields are, r, and as far as the gate g is open; see `Gate`. On the
    moved mesh :math:`v_k` has the same factors g and r before :math:`G_2`, and :math:`b_k` of its own if the base is
    asked there, too.

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
    #: usual size of a change after k frames, for a model that corrects a base; there `change` is that of corrections
    ahead: Tensor
    #: the solver that it corrects
    base: Base | None = None
    #: what it was trained on
    seen: Seen | None = None
    #: how nodes are moved in rollouts and for training
    monitor: Monitor = MONITOR
    mover: str | Mover = "monge-ampere"

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        s = self.settings = settings
        fields = len(s.fields)
        inputs = fields + len(s.numbers or s.attributes) + 2 + len(s.boundaries)
        outputs = s.bundle * fields
        more = fields + outputs  # of a base: how rough its frames are, and its changes
        self.still = Branch(inputs + (more if s.base else 0), outputs, s.dim, s.width, s.layers, s.messages)
        if s.base:
            self.gate, self.gate_there = Gate(s.width), Gate(s.width)
            self.register_buffer("ahead", torch.ones(s.bundle, fields))
        if s.moving:
            inputs += fields + outputs + (fields if s.base else 0)
            self.moving = Branch(inputs, outputs, s.dim, s.width, s.corrections, s.messages)
            if s.learned:
                self.there, self.back, self.over = (_weighting(s) for _ in range(3))
            if s.cut:  # of fields, to what the way back has lost of them
                self.cut = Branch(fields, fields, s.dim, s.cut, CUT, s.messages)
                nn.init.zeros_(self.cut.decode[-1].weight)
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
        if state.based is not None:
            return self._corrected(self.still, self.gate, state, *self.asked(state))
        g, u = state.graph, state.values
        out = self.still(torch.cat([u, self._own(state)], 1), g, self.unit).view(len(u), self.settings.bundle, -1)
        return u[:, None] + self.change * out if self.settings.residual else out

    def evolved(self, state: State, predicted: Tensor) -> Tensor:
        """Values (N, bundle, F) at the moved nodes, from what the other branch has predicted."""
        start, inputs, graph, rough = self.asked_there(state, predicted)
        if self.settings.base:
            return self._corrected(self.moving, self.gate_there, state, start, inputs, graph, rough)
        out = self.moving(inputs, graph, self.unit)
        return start + self.change * out.view(len(start), self.settings.bundle, -1)

    def asked(self, state: State) -> tuple[Tensor, Tensor, Graph, Tensor]:
        """Of the branch on the mesh, with a base: frames to be corrected (N, bundle, F), what it is given (N, inputs),
        where, and how rough the frames are (N, F)."""
        g, u, based = state.graph, state.values, state.based
        assert based is not None
        changes = ((based.frames - u[:, None]) / self.ahead).flatten(1)
        rough = roughness(g, u, based.frames)
        return based.frames, torch.cat([u, self._own(state), changes, (rough + LEAST).log()], 1), g, rough

    def asked_there(self, state: State, predicted: Tensor) -> tuple[Tensor, Tensor, Graph, Tensor]:
        """The same of the branch on the moved mesh; roughness of none without a base."""
        g, u, moved = state.graph, state.values, state.moved
        assert moved is not None
        v, based = moved.values, moved.based
        both = torch.cat([u[:, None], predicted], 1)
        there = self._carried("there", moved.there, g.points, moved.points, u, both)
        start = v[:, None] + (there[:, 1:] - there[:, :1]) if based is None else based.frames
        unit = self.ahead if self.settings.base else self.change
        inputs = [v, v - there[:, 0], ((start - v[:, None]) / unit).flatten(1), self._own(state, based)]
        graph, rough = g.moved(moved.points, moved.operators), v[:, :0]
        if self.settings.base:
            rough = roughness(graph, v, start)
            inputs.append((rough + LEAST).log())
        return start, torch.cat(inputs, 1), graph, rough

    def _corrected(
        self, branch: Branch, gate: Gate, state: State, start: Tensor, inputs: Tensor, graph: Graph, rough: Tensor
    ) -> Tensor:
        """Frames (N, bundle, F) and what is added to them, as far as the gate is open."""
        features = branch.features(inputs, graph, self.unit)
        out = self.change * rough[:, None] * branch.decode(features).view(len(inputs), self.settings.bundle, -1)
        assert state.based is not None
        return start + (state.based.share * gate(features, graph))[:, :, None] * out

    def returned(self, state: State, values: Tensor) -> Tensor:
        """Values (N, bundle, F) at the nodes of the mesh from those at the moved ones."""
        m = state.moved
        assert m is not None
        out = self._carried("back", m.back, m.points, state.graph.points, m.values, values)
        return out + self.cut(state.values, state.graph, self.unit)[:, None] if self.settings.cut else out

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
        net: Interpolation | Placed = getattr(self, way)
        return near(values, net(seen, source, target, near.ids))

    def _own(self, state: State, based: Based | None = None) -> Tensor:
        """What nodes know but for the fields: attributes, or the base's numbers, and kinds (N, ...)."""
        based = based or state.based
        known = state.attributes[state.graph.owner]
        if self.settings.numbers:
            assert based is not None
            known = based.numbers
        return torch.cat([known, state.graph.kinds], 1)

    def normalised(self, values: Tensor) -> Tensor:
        """Values (..., F) with the training data's mean and size taken off."""
        return (values - self.mean.to(values)) / self.std.to(values)

    def physical(self, values: Tensor) -> Tensor:
        """The inverse of `normalised`."""
        return values * self.std.to(values) + self.mean.to(values)

    def moving_on(self, mesh: CellMesh) -> Moving:
        """The mover of a mesh, with this model's monitor."""
        return Moving(mesh, self.monitor, self.mover)

    def save_pretrained(self, path: str | Path) -> Path:
        """Write settings, monitor, mover and weights to a .safetensors file; returns its path.

        Raises
        ------
        WeightsError
            The mover is an object, not a name.
        """
        path = Path(path)
        path = path if path.suffix == ".safetensors" else path.with_suffix(".safetensors")
        if not isinstance(self.mover, str):
            raise WeightsError(f"Expected a mover by its name, to be written with the weights (got {self.mover!r})")
        known = asdict(self.settings) | {"monitor": asdict(self.monitor), "mover": self.mover}
        known["seen"] = None if self.seen is None else self.seen.as_json()
        return write_weights(path, KIND, known, self.state_dict())

    def correcting(self, base: Step | Base | None) -> Self:
        """This model with its base, the solver that it was trained to correct; None for a model without.

        Raises
        ------
        BaseError
            The base is missing, has another name, or the model corrects none.
        """
        self.base = matching(base, self.settings.base, self.settings.numbers)
        return self

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path = "burgers", *, base: Step | Base | None = None) -> Self:
        """A model from the name of a shipped one, "burgers", "burgers-still" (of one branch), "cylinder",
        "burgers-corrected" or "cylinder-corrected" (of bases, `BurgersStep` and `WakeStep`), or from a .safetensors
        file.

        Parameters
        ----------
        base
            The solver that the model was trained to correct, by its name; None for models that correct none.

        Raises
        ------
        WeightsError
            The file is missing, truncated, altered, or of another kind.
        BaseError
            The base is missing, has another name, or the model corrects none.
        """
        settings, tensors = read_weights(name_or_path, KIND, FOLDER)
        named: dict[str, Any] = dict(settings)
        try:
            monitor, mover, seen = named.pop("monitor"), named.pop("mover"), named.pop("seen", None)
            with torch.random.fork_rng():  # weights are drawn, to be replaced
                model = cls(Settings(**_with_tuples(named)))
            model.load_state_dict(tensors)
            model.monitor, model.mover = Monitor(**_with_tuples(monitor)), mover
            model.seen = None if seen is None else Seen.from_json(seen)
        except KeyError as error:
            raise WeightsError(f"Expected the setting {error} in {name_or_path}: train the model again") from error
        except (AttributeError, TypeError, RuntimeError, ValueError) as error:
            raise WeightsError(f"Expected the weights of an MMPDE in {name_or_path} (got others: {error})") from error
        return model.correcting(base).eval()


def _weighting(s: Settings) -> Interpolation | Placed:
    return Placed(s.dim, s.neighbours) if s.placed else Interpolation(len(s.fields), s.dim, s.interpolation)


def _with_tuples(named: Mapping[str, Any]) -> dict[str, Any]:
    """Lists, which JSON makes of tuples, as tuples again."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in named.items()}
