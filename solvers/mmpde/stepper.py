"""The stepper as users meet it: roll a field out on their mesh, fit to their data, correct by measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from meshmove.geometry import CellMesh, FieldError
from meshmove.geometry.arrays import Array
from meshmove.geometry.given import count
from meshmove.geometry.given import names as names_of
from meshmove.meshes.source import Source
from meshmove.motion.frames import Following, Moving

from .assimilation import Observer
from .checks import attributes_of, check, columns_of, nodes_of, same_mesh, strange, values_of
from .correcting.base import Base, Step
from .correcting.gradients import unrolled
from .graph import Graph
from .network import Settings, TwoBranches
from .observation import Observation, several
from .passes import Now, advanced
from .prior.known import Boundary, Known
from .rollout import Frame, Trajectory
from .state import State
from .training import CONFIGS, fit

__all__ = ["MMPDE"]


class MMPDE(TwoBranches):
    """A neural time stepper with a mesh that moves for every frame, see `TwoBranches` for the network.

    Parameters
    ----------
    settings
        Sizes and parts of the network.
    base
        A solver of yours that is to be corrected, ``step(mesh, fields, dt, attributes) -> fields``: from nodal fields
        (n,) by name on a `CellMesh` to those a time dt later, the attributes by name, too. It goes by its `name`, or
        that of the function, which is kept with the weights.

    Raises
    ------
    BaseError
        The base cannot be called, has no name, or not that of the settings.
    """

    _last: Any = None

    def __init__(self, settings: Settings | None = None, base: Step | Base | None = None) -> None:
        settings = Settings() if settings is None else settings
        known = None if base is None else Base.of(base)
        if known is not None and not settings.base:
            settings = replace(settings, base=known.name, numbers=known.numbers)
        super().__init__(settings)
        if known is not None:
            self.correcting(known)

    def __getstate__(self) -> dict[str, Any]:
        """Of copies and pickles, which find the last mesh's graph again."""
        return {**self.__dict__, "_last": None}

    def rollout(
        self,
        mesh: Any,
        u0: ArrayLike | Mapping[str, ArrayLike],
        steps: int,
        *,
        attributes: Mapping[str, float] | None = None,
        dt: float | None = None,
        boundary: Boundary | None = None,
    ) -> Trajectory:
        """The fields of the next `steps` frames, and moved meshes for them.

        A model with two branches keeps the fields on the moved mesh. They start there from the values at nodes, or, if
        `u0` is a function, from those at the moved nodes. What was the same on a boundary in all frames of training,
        such as 0 on a wall, is imposed there, and a state at which nothing moved stays. The report warns of what lies
        outside the ranges of training.

        Nothing is computed before the trajectory is iterated over, and no frame is kept.

        Parameters
        ----------
        mesh
            Any mesh that `adapt` takes.
        u0
            Nodal values (n,) or (n, F) at the start, or by field name. Any function of points (d, n) will do for a
            single field.
        attributes
            Numbers of the trajectory that the model was trained with, such as a viscosity.
        dt
            Time between frames, if it is to be checked: the model knows but one.
        boundary
            Values to be held on named boundaries, over those that the data held there: a number for all fields, numbers
            by field, or None for a boundary on which the network alone decides.

        Raises
        ------
        FieldError
            A field is missing, unknown, not finite, or of another number of nodes; a boundary is not the mesh's.
        ValueError
            Another time step than that of the data, a missing attribute, or a negative number of steps.
        """
        source = Source.of(mesh)
        check(self, source.cells, steps, dt)
        values = values_of(self.settings, source, u0)
        given = attributes_of(self.settings, attributes)
        known = Known.of(source.cells, self.settings.fields, self.seen, boundary)
        notes = strange(self, source.cells, values, given)
        notes += known.broken(values, self.settings.fields)
        frames = partial(self._frames, known=known)
        if callable(u0) and self.settings.moving:
            frames = partial(frames, exact=lambda x: columns_of(self.settings, u0(source.columns(x.T))))
        return Trajectory(source, self.settings.fields, float(self.step), steps, frames, values, given, notes)

    def differentiable(
        self,
        mesh: Any,
        u0: Tensor,
        steps: int,
        *,
        attributes: Mapping[str, Tensor | float] | None = None,
        boundary: Boundary | None = None,
    ) -> Tensor:
        """The frames of `rollout` as a tensor (steps + 1, n, F) with gradients in the start (n,) or (n, F) and in the
        attributes: for inverse problems, sensitivities and control.

        All of them are kept, in double precision; the weights get no gradients. A model that corrects a base needs one
        whose steps tensors can make, `step.tensors`, as `BurgersStep` has them. What ranges of training say of the gate
        is taken as given, and a state of rest is left to the network.

        Raises
        ------
        BaseError
            The base makes no steps on tensors.
        FieldError
            The start does not fit the mesh, or a boundary is not the mesh's.
        ValueError
            A model with two branches, whose moved meshes have no gradients; a missing attribute.
        """
        source = Source.of(mesh)
        check(self, source.cells, steps, None)
        given = {k: torch.as_tensor(v, dtype=torch.float64) for k, v in (attributes or {}).items()}
        numbers = attributes_of(self.settings, {k: float(v.detach()) for k, v in given.items()})
        known = Known.of(source.cells, self.settings.fields, self.seen, boundary)
        graph, _ = self._prepared(source.cells)
        state = State(graph, u0, torch.zeros(1, len(numbers)))
        return unrolled(self, state, [given[k] for k in self.settings.attributes], numbers, known, steps)

    def assimilate(
        self, trajectory: Trajectory, observations: Iterable[Observation], *, hold: Sequence[str] = ()
    ) -> Trajectory:
        """A rollout from the same start that is corrected by measurements on the way.

        Where something was measured, what the model predicts is corrected by an `Observer`, and the rollout goes on
        from there.

        A trajectory that is corrected already keeps its measurements and what it holds, and gets more.

        Parameters
        ----------
        trajectory
            Of this model.
        observations
            Of any frames, at nodes or at points; several of one frame are taken one after the other.
        hold
            Boundaries on which the fields are known, where no correction is wanted; on those whose values are imposed
            there is none anyway.

        Raises
        ------
        FieldError
            An observation is of a frame that the trajectory has not, of an unknown field, or of nodes or points that
            are not in the mesh; or a boundary is not.
        """
        if not isinstance(trajectory, Trajectory):
            raise FieldError(f"Expected a trajectory of a rollout (got {type(trajectory).__name__})")
        new = several(observations)
        for seen in new:
            if seen.frame > trajectory.steps:
                raise FieldError(f"Expected measurements up to frame {trajectory.steps} (got one at {seen.frame})")
            seen.check(trajectory.source.cells, self.settings.fields)
        held = names_of(hold, "names of boundaries to hold", FieldError)
        for name in held:
            if name not in trajectory.source.cells.facets:
                known = sorted(trajectory.source.cells.facets)
                raise FieldError(f"Expected boundaries {known} to hold (got {name!r})")
        return replace(
            trajectory,
            observations=(*trajectory.observations, *new),
            hold=tuple(dict.fromkeys((*trajectory.hold, *held))),
        )

    def _frames(
        self,
        mesh: CellMesh,
        values: Array,
        attributes: Sequence[float],
        steps: int,
        *,
        known: Known,
        exact: Callable[[Array], Array] | None = None,
        observations: Sequence[Observation] = (),
        hold: Sequence[str] = (),
    ) -> Iterator[Frame]:
        graph, moving = self._prepared(mesh)
        step, following = float(self.step), Following(partial(self.moving_on, mesh))
        observer = Observer(mesh, self.settings.fields, nodes_of(mesh, hold)) if observations else None
        now, done = Now(values, mesh.points, exact).imposed(known), 0
        yield Frame(0.0, values, mesh.points, values) if moving else Frame(0.0, values, following)
        while done < steps:
            bundle = [after.imposed(known) for after in self.advance(graph, now, attributes, moving)]
            for now in bundle[: steps - done]:
                done += 1
                corrections = [seen for seen in observations if seen.frame == done]
                for seen in corrections:
                    assert observer is not None  # it remembers, so each pass has its own
                    right = known.imposed(observer(now.values, seen))
                    now = now.corrected(mesh, right).imposed(known)
                if moving:
                    yield Frame(step * done, now.values, now.points, now.on_moved)
                else:
                    yield Frame(step * done, now.values, following)
                if corrections:
                    break  # the next bundle starts from what was corrected

    def _prepared(self, mesh: CellMesh) -> tuple[Graph, Moving | None]:
        """Graph and mover of a mesh; those of the last one are kept, for time loops that start again and again."""
        s, known = self.settings, self._last
        if known is None or known[1] != (self.monitor, self.mover) or not same_mesh(known[0], mesh):
            graph = Graph.of(mesh, s.boundaries, s.reach, s.directions)
            moving = self.moving_on(mesh) if s.moving else None
            known = self._last = (mesh, (self.monitor, self.mover), graph, moving)
        return known[2], known[3]

    def advance(self, graph: Graph, now: Now, attributes: Sequence[float], moving: Moving | None) -> list[Now]:
        """One pass: the next frames of a bundle.

        The branch on the mesh predicts, nodes move to where the start and the prediction's end want them, the fields
        are carried to them from where they have moved before, and the branch on the moved mesh evolves them.

        Parameters
        ----------
        moving
            The mover; None for a model without that branch.

        Raises
        ------
        FieldError
            What is predicted is not finite.
        """
        return advanced(self, graph, now, attributes, moving)

    def with_second_branch(self, corrections: int = 5, *, base_moves: bool | None = None) -> MMPDE:
        """This model and a branch on the moved mesh, of so many layers, which adds nothing until it has learned: `fit`
        it with ``Config(settings, ahead=0)`` and ``start``. `base_moves`: the base makes its steps there, too, which
        pays without any learning where it bears the moved mesh; by default wherever there is a base."""
        base_moves = self.base is not None if base_moves is None else base_moves
        layers = count(corrections, "a number of layers", low=1, high=1000)
        if self.settings.moving or (base_moves and self.base is None):
            what = "one branch" if self.settings.moving else "a base whose steps could be made on the moved mesh"
            raise ValueError(f"Expected a model with {what} (got {self})")
        more: dict[str, Any] = {"corrections": layers, "base_moves": base_moves, "curved": True}
        other = type(self)(replace(self.settings, moving=True, **more), self.base)
        other.load_state_dict({**other.state_dict(), **self.state_dict()})
        for weights in other.moving.decode[-1].parameters():
            torch.nn.init.zeros_(weights)
        other.monitor, other.mover, other.seen = self.monitor, self.mover, self.seen
        return other.to(self.unit.device)

    def fit(self, data: Any, folder: str | Path, *, config: Any = None, **options: Any) -> MMPDE:
        """A new model of this one's settings, monitor and mover, trained on a `TrajectoryDataset`: the best weights.

        This model, and the state of torch's random numbers, stay as they were; the new one has its mode, device and
        precision. `folder` gets log, checkpoint and weights; a second call goes on from there. `options` go to
        `meshmove.solvers.mmpde.training.fit.fit`.
        """
        config = replace(CONFIGS["small"], settings=self.settings) if config is None else config
        own = {"monitor": self.monitor, "mover": self.mover, "base": self.base}
        for _ in fit(config, folder, data=data, **(own | options)):
            pass
        best = type(self).from_pretrained(Path(folder) / "best.safetensors", base=options.get("base", self.base))
        return best.to(self.unit.device, self.unit.dtype).train(self.training)

    def __repr__(self) -> str:
        s = self.settings
        count = sum(p.numel() for p in self.parameters())
        kind = "two branches" if s.moving else "one branch"
        kind += f" that {'correct' if s.moving else 'corrects'} {s.base}" if s.base else ""
        return f"MMPDE({kind}, {count:,} weights; fields {', '.join(s.fields)}; bundles of {s.bundle} frames)"
