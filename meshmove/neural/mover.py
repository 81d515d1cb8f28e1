"""The neural mover of `adapt`: one trained network for any mesh, under guard."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array
from meshmove.movers import Density, MongeAmpere, Move, Problem, untangled
from meshmove.movers.polish import polish
from meshmove.options import count, number, shown
from meshmove.outcomes import Outcome

from .aligning.network import Aligner
from .aligning.single import aligned
from .aligning.single import pretrained as pretrained_aligner
from .batch import MeshBatch
from .coarse import coarse_start
from .dmm import DMM
from .repair import repair

__all__ = ["Neural", "pretrained"]


#: largest over mean monitor, and imbalance at rest, beyond which the network's steps no longer lead anywhere
CONTRAST, IMBALANCE = 60.0, 3.0
#: an imbalance above, and above this share of that at the start, is worth a try with the classical mover
POOR = 0.2, 0.4
#: kinds of cells on which fields are aligned, each by itself
ALIGNED = ({"triangle"}, {"quad"}, {"tetra"}, {"hexahedron"})
#: so many steps of polish are a better bargain than the second round of the forward phase
WORTH = 15


@dataclass(frozen=True)
class Neural:
    """Moves a mesh by a trained `DMM`.

    The network proposes, and checks decide: a step is shortened until no corner flattens, and of the positions at
    hand the best by `Problem.merit` is returned. For a monitor far outside the training range, or where the
    network does not help, the classical mover takes over, with a warning.

    For a field on triangles, quadrilaterals, tetrahedra or hexahedra another network, an `Aligner`, lowers the
    predicted error itself: rounds that each cost one Laplacian lift, and then steps of classical alignment.

    Parameters
    ----------
    model
        None: the shipped model of the mesh's dimension.
    polish
        Steps of classical descent of E afterwards, or of the predicted error, at effort 1; one alone is not taken.
    device
        Where the network for monitors runs: None or "cpu", "cuda", "cuda:1", ... That for fields runs on the processor;
        where another device is asked for, the report says so.
    distortion
        Weight of the cells' shape in E while polishing.
    aligner
        None: the shipped network that aligns.
    objective
        What is made of a field: "alignment", or "equidistribution" by the network for monitors.

    Raises
    ------
    ValueError
        For a parameter that is out of range, a device that this machine does not have, and for a model of the other
        dimension.
    """

    model: DMM | None = None
    polish: int = 10
    device: str | None = None
    distortion: float = 0.002
    name: str = "dmm"
    aligner: Aligner | None = None
    objective: str = "alignment"

    def __post_init__(self) -> None:
        if self.model is not None and not isinstance(self.model, DMM):
            raise ValueError(f"Expected a DMM or None as the model (got {type(self.model).__name__})")
        if self.aligner is not None and not isinstance(self.aligner, Aligner):
            raise ValueError(f"Expected an Aligner or None as the aligner (got {type(self.aligner).__name__})")
        if not isinstance(self.objective, str) or self.objective not in ("alignment", "equidistribution"):
            raise ValueError(f"Expected objective 'alignment' or 'equidistribution' (got {shown(self.objective)})")
        count(self.polish, "polish")
        number(self.distortion, "a distortion of at least 0", open_low=False)
        check_device(self.device)

    def aligns(self, mesh: CellMesh) -> bool:
        """Whether it lowers the predicted error of a field on such a mesh; else it moves to the field's monitor."""
        kinds = {b.kind.name for b in mesh.blocks}
        return self.objective == "alignment" and kinds in ALIGNED

    def __call__(self, problem: Problem) -> Move:
        if problem.objective is not None and self.aligns(problem.mesh):
            steps = round(self.polish * problem.effort)
            model = self._aligner(problem.mesh.dim)
            move = aligned(model, problem, steps if steps > 1 else 0)
            return replace(move, warnings=(*move.warnings, *_not_on(self.device)))
        dim = problem.mesh.dim
        model = pretrained(dim) if self.model is None else self.model
        if model.settings.dim != dim:
            raise ValueError(
                f"Expected a model for {dim}-D meshes (got one for {model.settings.dim}-D): leave `model` out, or load "
                f"the one named 'dmm-{dim}d'"
            )
        strange = self._strange(problem)
        if strange:
            return self._classical(problem, f"{strange}: moved by the classical mover instead")
        steps = round(self.polish * problem.effort)
        proposal = self._proposal(model, problem, 1 if steps >= WORTH else None)
        if proposal is None:
            return self._classical(problem, "the network's start has inverted cells: moved by the classical mover")
        points, cut, rounds = proposal
        if not problem.admissible(points):  # edges cut off a curved boundary: E with its limit brings them back
            steps = max(steps, 10)
        found = [(points, 0)]
        if steps and problem.valid(points):
            found.append(polish(problem, points, steps, self.distortion))
        fitting = [(p, k) for p, k in found if problem.admissible(p)]
        if not fitting:
            share = problem.drawn_back(found[-1][0])
            cut, fitting = min(cut, share[1]), [(share[0], 0)]
        best, steps = min(fitting, key=lambda entry: problem.merit(entry[0]))
        if not problem.merit(best) < problem.merit(problem.start):
            return self._classical(problem, "the network found nothing better: moved by the classical mover instead")
        move = Move(best, rounds + steps, step_cut=cut, polish=steps, judged=True)
        reached, rest = problem.imbalance(best), problem.imbalance(problem.start)
        if reached > max(POOR[0], POOR[1] * rest):
            other = self._classical(
                problem, f"the network left an imbalance of {reached:.3g}: moved by the classical mover"
            )
            move = other if problem.merit(other.points) < problem.merit(best) else move
        return move

    def _aligner(self, dim: int) -> Aligner:
        """The network for fields on meshes of this dimension."""
        if self.aligner is None:
            return pretrained_aligner(dim)
        known = self.aligner.settings.dim
        if known != dim:
            raise ValueError(
                f"Expected an aligner for {dim}-D meshes (got one for {known}-D): leave `aligner` out, or load the one "
                f"named 'aligner-{dim}d'"
            )
        return self.aligner

    def _strange(self, problem: Problem) -> str | None:
        """What sets the problem apart from those of training, if anything does."""
        contrast = float(problem.density.value(problem.mesh.points.T).max() * problem.volume.sum())
        contrast /= float(problem.mass(problem.mesh.points).sum())
        if contrast > CONTRAST:
            return f"the monitor is up to {contrast:.3g} times its mean, above the {CONTRAST:.3g} of what was tried"
        rest = problem.imbalance(problem.start)
        if rest > IMBALANCE:
            return f"the imbalance is {rest:.3g} at the start, above the {IMBALANCE:.3g} of what was tried"
        return None

    def _classical(self, problem: Problem, why: str) -> Move:
        move = MongeAmpere(distortion=self.distortion)(problem)
        return replace(move, warnings=(Outcome.CLASSICAL_INSTEAD.told(why), *move.warnings))

    def _proposal(self, model: DMM, problem: Problem, forward_rounds: int | None) -> tuple[Array, float, int] | None:
        """Positions, the share of a step that was let through at worst, and the number of rounds; None for a start
        that cannot be untangled."""
        key = ("dmm batch", self.device)
        if key not in problem.workspace:
            batch = MeshBatch.of([problem.mesh], [problem.slide], [problem.component])
            problem.workspace[key] = batch.to(self.device)
        batch = problem.workspace[key]
        density = Sampled(problem.density, problem.mesh.points)
        start, cut, rounds, inverse_rounds = problem.start, 1.0, 0, None
        coarse = coarse_start(model, problem)
        if coarse is not None:
            start, cut, rounds = coarse
            if not problem.valid(start):
                mended = repair(batch, torch.from_numpy(start).to(batch.points)).cpu().numpy()
                better = untangled(problem, mended)
                if better is None:
                    return None
                start = better
            inverse_rounds = 1
        if next(model.parameters()).device != batch.points.device:
            model = deepcopy(model).to(batch.points.device)  # the caller's stays where it is
        with torch.no_grad():
            trace = model(
                batch,
                density,
                torch.from_numpy(start).to(batch.points),
                rule=problem.rule,
                adaptive=True,
                inverse_rounds=inverse_rounds,
                forward_rounds=forward_rounds,
            )
        assert trace.points is not None and trace.cut is not None
        points = problem.slide.retract(trace.points.cpu().double().numpy())
        return points, min(cut, float(trace.cut)), rounds + trace.rounds


class Sampled:
    """A NumPy density as a torch function with a gradient, held in the box of points (n, dim) beyond which it need
    not exist."""

    def __init__(self, density: Density, points: Array) -> None:
        self._density = density
        self._box = torch.from_numpy(points.min(axis=0)), torch.from_numpy(points.max(axis=0))

    def __call__(self, x: Tensor, graph: Tensor) -> Tensor:
        low, high = (side.to(x) for side in self._box)
        x = x.clamp(low, high)
        if x.requires_grad:
            return _Value.apply(x, self._density)
        return x.new_tensor(self._density.value(_columns(x)).copy())


class _Value(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, density: Density) -> Tensor:
        value, slope = density.value_and_gradient(_columns(x))
        ctx.save_for_backward(torch.from_numpy(np.ascontiguousarray(slope.T)).to(x))
        return x.new_tensor(value.copy())  # which may be read-only

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient[:, None] * ctx.saved_tensors[0], None


def _columns(x: Tensor) -> Array:
    return x.detach().cpu().double().numpy().T


def check_device(device: str | None) -> None:
    """Refuse a device by name that this machine does not have."""
    if device is None or (isinstance(device, str) and device == "cpu"):
        return
    try:
        wanted = torch.device(str(device))
    except RuntimeError as error:
        raise ValueError(f"Expected device None, 'cpu' or 'cuda' (got {device!r})") from error
    if wanted.type != "cuda" or not torch.cuda.is_available() or (wanted.index or 0) >= torch.cuda.device_count():
        have = f"{torch.cuda.device_count()} CUDA devices" if torch.cuda.is_available() else "no CUDA device"
        raise ValueError(f"Expected a device of this machine, which has the CPU and {have} (got {device!r})")


def _not_on(device: str | None) -> tuple[str, ...]:
    """What is said of a device on which the network for fields does not run."""
    if device is None or torch.device(device).type == "cpu":
        return ()
    text = f"the network for a field on one mesh runs on the processor, not on {device!r}: batches of meshes run there"
    return (Outcome.ON_THE_PROCESSOR.told(text),)


@lru_cache(maxsize=2)
def pretrained(dim: int) -> DMM:
    """The shipped model of this dimension."""
    return DMM.from_pretrained(f"dmm-{dim}d")
