"""The data-free mesh mover: a few rounds of learned descent, first of the inverse map, then of the move itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from meshmove.geometry.errors import InvalidMeshError
from meshmove.learning.weights import WeightsError, read_weights, write_weights

from .batch import MeshBatch
from .compose import compose
from .energy import Density, Linearised, State, distortion_force, state
from .features import FEATURES, features
from .guard import let_through, repaired, softening, valid
from .lift import gauss_newton_lift
from .network import Advisor

__all__ = ["DMM", "Settings", "Trace"]

#: where the shipped models are
FOLDER = Path(__file__).parent / "weights"

#: coefficients that the network emits at every node
ADVICE = 4
#: adaptive rounds: so many more at most, and a root mean square of log q at which the inverse map is good enough
EXTRA, NEAR = 2, 0.1
#: a step of which less than this was let through is worth another round
LET = 0.95
#: advice beyond it is cut
LARGEST = 10.0


@dataclass(frozen=True)
class Settings:
    """What a model is built from; stored with its weights."""

    dim: int = 2
    width: int = 24
    layers: int = 2
    inverse_rounds: int = 3
    forward_rounds: int = 2
    inverse_distortion: float = 0.01
    distortion: float = 0.002
    inverse_stiffness: float = 0.02
    forward_stiffness: float = 0.005

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


@dataclass(eq=False)
class Trace:
    """The result of a forward pass.

    `points` (n, d): positions without inverted cells. `log_q` (c,): the target of the inverse map. `images`: the states
    that its rounds led to; `moves`: the state that it gave the forward phase, and those that the rounds of that led to
    (while training, the states that the rounds would have led to without the guard). `cut` (meshes,): the smallest
    share of a step that the guard let through, 1 where it never shortened one. `reached`: positions before meshes with
    inverted cells were drawn back. `rounds`: how many there were.
    """

    log_q: Tensor
    images: list[State] = field(default_factory=list)
    moves: list[State] = field(default_factory=list)
    cut: Tensor | None = None
    reached: Tensor | None = None
    points: Tensor | None = None
    rounds: int = 0


class DMM(nn.Module):
    """Moves a batch of meshes so that each cell gets an equal share of its monitor.

    Rounds of the *inverse* phase look for the map y that spreads the monitor mass of every cell over as much volume;
    then x o y^-1 is the move, and rounds of the *forward* phase descend E itself. Every step is one of
    Gauss-Newton: the network advises how far each node should follow it, which residuals to weigh more, and how much of
    the last step and of the force against distortion to add. It sees and emits invariants only, so the move turns,
    shifts and scales with the mesh and does not depend on the numbering. Untrained it advises nothing.
    """

    def __init__(self, settings: Settings = Settings()) -> None:  # noqa: B008
        super().__init__()
        if not isinstance(settings, Settings):
            raise TypeError(f"Expected the Settings of a DMM (got {type(settings).__name__})")
        self.settings = s = settings
        rounds = s.inverse_rounds + s.forward_rounds
        self.advisor = Advisor(FEATURES, [0.0] * ADVICE, rounds, s.width, s.layers)

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path = "dmm-2d") -> DMM:
        """A trained model: shipped with the package by name, or a file that `save_pretrained` wrote.

        Raises
        ------
        WeightsError
            If there is no such model, or its file is truncated, altered, or of another kind or version.
        """
        settings, tensors = read_weights(name_or_path, "dmm", FOLDER)
        try:
            with torch.random.fork_rng():  # weights are drawn, to be replaced
                model = cls(Settings(**cast(dict[str, Any], settings)))
            model.load_state_dict({k: v.float() for k, v in tensors.items()})
        except (TypeError, RuntimeError) as error:
            raise WeightsError(f"Expected the weights of a DMM in {name_or_path} (got others: {error})") from error
        return model.eval()

    def save_pretrained(self, path: str | Path) -> Path:
        """Write the weights to a .safetensors file."""
        return write_weights(path, "dmm", self.settings.as_dict(), self.state_dict())

    def forward(
        self,
        batch: MeshBatch,
        density: Density,
        start: Tensor | None = None,
        *,
        rule: str = "interior",
        adaptive: bool = False,
        inverse_rounds: int | None = None,
        forward_rounds: int | None = None,
        detach: bool = False,
    ) -> Trace:
        """Move the nodes of `batch`, from `start` (n, d) or from rest.

        `density(x (k, d), graph (k,)) -> (k,)`. `rule`: where it is sampled, "interior" or "vertices".
        `adaptive`: fewer rounds of the inverse phase for meshes that are near their target, and more rounds of either
        for those whose last step was cut.
        `inverse_rounds`, `forward_rounds`: other numbers of them than the model's; fewer are the last ones.
        `detach`: cut the gradient between rounds, as training does: every round learns from its own E alone.

        Raises
        ------
        InvalidMeshError
            For meshes of another dimension than the model's.
        """
        if batch.dim != self.settings.dim:
            raise InvalidMeshError(f"Expected meshes for a {self.settings.dim}-D model (got {batch.dim}-D meshes)")
        start = batch.points if start is None else start
        at = state(batch, start, density, rule=rule)
        trace = Trace(at.log_q, cut=batch.points.new_ones(len(batch)))
        image = self._invert(batch, trace, inverse_rounds, adaptive, detach)
        moved = repaired(batch, compose(batch, image, start))
        due = self.settings.forward_rounds if forward_rounds is None else forward_rounds
        points = self._descend(batch, density, rule, moved, trace, due, adaptive, detach)
        trace.reached = repaired(batch, points)
        trace.points = valid(batch, trace.reached, start)
        return trace

    def invert(self, batch: MeshBatch, target: Tensor) -> tuple[Tensor, float, int]:
        """The inverse phase by itself: positions (n, d) at which cells have volumes |K0| exp(target), target (c,).

        With them the least share of a step that was let through, and the number of rounds.
        """
        trace = Trace(target, cut=batch.points.new_ones(len(batch)))
        image = self._invert(batch, trace, self.settings.inverse_rounds + EXTRA, True, False)
        assert trace.cut is not None
        return image, float(trace.cut.min()), trace.rounds

    def _invert(self, batch: MeshBatch, trace: Trace, rounds: int | None, adaptive: bool, detach: bool) -> Tensor:
        y, d, at = batch.points, torch.zeros_like(batch.points), state(batch, batch.points)
        model, share = self.settings.inverse_rounds, torch.ones_like(trace.cut)
        rounds = model if rounds is None else rounds
        for k in range(rounds + EXTRA * adaptive):
            residual = trace.log_q - at.log_q
            going = _going(batch, residual, share, k < rounds, adaptive, NEAR)
            if not bool(going.any()):
                break
            number = min(max(model - rounds, 0) + k, model - 1)
            y, d, wish, share = self._round(batch, y, d, at, residual, trace, number, going)
            if detach:
                proposed = y if wish is None else wish
                trace.images.append(state(batch, proposed, soften=softening(batch, proposed)))
                y, d = y.detach(), d.detach()
            at = state(batch, y)
            if not detach:
                trace.images.append(at)
        return y

    def _descend(
        self,
        batch: MeshBatch,
        density: Density,
        rule: str,
        x: Tensor,
        trace: Trace,
        due: int,
        adaptive: bool,
        detach: bool,
    ) -> Tensor:
        s, d = self.settings, torch.zeros_like(x)
        share = torch.ones_like(trace.cut)
        rounds = due + EXTRA * adaptive
        for k in range(rounds + 1):
            at = state(batch, x, density, rule=rule, slope=k < rounds, soften=softening(batch, x))
            if k == 0 or not detach:
                trace.moves.append(at)
            going = _going(batch, at.log_q, share, k < due, adaptive, 0.0)
            if k == rounds or not bool(going.any()):
                break
            number = s.inverse_rounds + min(k, s.forward_rounds - 1)
            x, d, wish, share = self._round(batch, x, d, at, -at.log_q, trace, number, going)
            if detach:
                proposed = x if wish is None else wish
                trace.moves.append(state(batch, proposed, density, rule=rule, soften=softening(batch, proposed)))
                x, d = x.detach(), d.detach()
        return x

    def _round(
        self,
        batch: MeshBatch,
        x: Tensor,
        d: Tensor,
        at: State,
        residual: Tensor,
        trace: Trace,
        k: int,
        going: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
        """One advised Gauss-Newton step of the meshes that are `going` (1 or 0).

        Positions; the step that led there; where the guard cut it, while training, the positions that it was to lead
        to; and the share that the guard let through.
        """
        s = self.settings
        eps, stiffness = (
            (s.inverse_distortion, s.inverse_stiffness) if k < s.inverse_rounds else (s.distortion, s.forward_stiffness)
        )
        projector = batch.projector(x)
        model = Linearised(batch, at, stiffness)
        lift = gauss_newton_lift(batch, model, x)
        z = lift(project(projector, model.forces(batch.volume * residual)))
        shape = batch.scatter(distortion_force(batch, at))
        f = features(batch, at, residual, trace.log_q, z, d, shape, projector)
        advice = torch.nan_to_num(self.advisor(f, batch.edges, k), nan=0.0).clamp(-LARGEST, LARGEST)
        more, aim, gentle, b = advice.unbind(1)
        force = model.forces(batch.volume * residual * per_cell(batch, aim)) + (eps * gentle)[:, None] * shape
        step = (1 + more)[:, None] * z + b[:, None] * d + lift(project(projector, force))
        step = project(projector, step)
        step = torch.nan_to_num(step) * going[batch.node_graph, None]
        new, share = let_through(batch, x, step)
        trace.rounds += 1
        trace.cut = torch.minimum(trace.cut, share)
        wish = batch.retract(x + step) if self.training and bool((share < 1).any()) else None
        return new, new - x, wish, share


def _going(batch: MeshBatch, residual: Tensor, share: Tensor, due: bool, adaptive: bool, near: float) -> Tensor:
    """Which meshes take part in a round, 1 or 0: all that are due, or else those that still gain by it."""
    if not adaptive:
        return torch.full_like(share, float(due))
    far = batch.mean(residual.detach() ** 2) > near**2
    return (far if due else far & (share < LET)).to(share)


def project(projector: Tensor, vectors: Tensor) -> Tensor:
    return (projector @ vectors[:, :, None])[:, :, 0]


def per_cell(batch: MeshBatch, nodal: Tensor) -> Tensor:
    """Mean of nodal coefficients over each cell."""
    vertices = batch.dim + 1
    mean = nodal[batch.simplices] @ nodal.new_full((vertices,), 1 / vertices)
    return batch.per_cell(mean * batch.weight) / batch.volume
