"""The stepper as users meet it: roll a field out on their mesh, fit to their data, correct by measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from meshmove.geometry import CellMesh, FieldError
from meshmove.inputs import Source
from meshmove.monitors import Monitor
from meshmove.movers import Mover
from meshmove.neural.weights import WeightsError, read_weights, write_weights

from ._inputs import attributes_of, check, columns_of, same_mesh, strange, values_of
from .assimilation import Observation, Observer
from .graph import Graph
from .model import Moved, Settings, TwoBranches
from .moving import MONITOR, Moving
from .samples import state_of
from .trajectory import Frame, Trajectory, interpolated

__all__ = ["MMPDE"]

KIND, FOLDER = "mmpde", Path(__file__).parent / "weights"
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Now:
    """Where a rollout stands: `values` (n, F) at nodes, `points` (n, d) of the moved ones, and values `there`.

    `there`: (n, F), or a function of points (d, n) if nodes are still to be moved; None where nothing more is known
    than the values at nodes.
    """

    values: Array
    points: Array
    there: Array | Callable[[Array], Array] | None = None

    @property
    def on_moved(self) -> Array | None:
        """Values (n, F) at the moved nodes, if they are known."""
        return None if callable(self.there) else self.there

    def corrected(self, mesh: CellMesh, values: Array) -> Now:
        """With other values at nodes, and the difference made at the moved nodes, too."""
        there = self.on_moved
        if there is not None:
            there = there + interpolated(mesh, values - self.values, self.points)
        return replace(self, values=values, there=there)


class MMPDE(TwoBranches):
    """A neural time stepper with a mesh that moves for every frame, see `TwoBranches` for the network."""

    #: how nodes are moved in rollouts and for training
    monitor: Monitor = MONITOR
    mover: str | Mover = "monge-ampere"
    _last: Any = None

    def moving_on(self, mesh: CellMesh) -> Moving:
        """The mover of a mesh, with this model's monitor."""
        return Moving(mesh, self.monitor, self.mover)

    def rollout(
        self,
        mesh: Any,
        u0: ArrayLike | Mapping[str, ArrayLike],
        steps: int,
        *,
        attributes: Mapping[str, float] | None = None,
        dt: float | None = None,
    ) -> Trajectory:
        """The fields of the next `steps` frames, and moved meshes for them.

        A model with two branches keeps the fields on the moved mesh. They start there from the values at nodes, or, if
        `u0` is a function, from those at the moved nodes.

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

        Raises
        ------
        FieldError
            A field is missing, unknown, not finite, or of another number of nodes.
        ValueError
            Another time step than that of the data, a missing attribute, or a negative number of steps.
        """
        source = Source.of(mesh)
        check(self, source.cells, steps, dt)
        values = values_of(self.settings, source, u0)
        given = attributes_of(self.settings, attributes)
        notes = strange(self, source.cells)
        frames = self._frames
        if callable(u0) and self.settings.moving:
            frames = partial(self._frames, exact=lambda x: columns_of(self.settings, u0(source.columns(x.T))))
        return Trajectory(source, self.settings.fields, float(self.step), steps, frames, values, given, notes)

    def assimilate(
        self, trajectory: Trajectory, observations: Iterable[Observation], *, hold: Sequence[str] = ()
    ) -> Trajectory:
        """A rollout from the same start that is corrected by measurements on the way.

        Where something was measured, what the model predicts is corrected by an `Observer`, and the rollout goes on
        from there.

        Parameters
        ----------
        trajectory
            Of this model.
        observations
            Of any frames, at nodes or at points; several of one frame are taken one after the other.
        hold
            Boundaries on which the fields are known, where no correction is wanted.

        Raises
        ------
        FieldError
            An observation is of a frame that the trajectory has not, or of an unknown field.
        """
        by_frame: dict[int, list[Observation]] = {}
        for seen in observations:
            if seen.frame > trajectory.steps:
                raise FieldError(f"Expected measurements up to frame {trajectory.steps} (got one at {seen.frame})")
            by_frame.setdefault(seen.frame, []).append(seen)
        cells = trajectory.source.cells
        held = np.zeros(cells.n_points, bool)
        for name in hold:
            if name not in cells.facets:
                raise FieldError(f"Expected boundaries {sorted(cells.facets)} to hold (got {name!r})")
            held[np.unique(cells.facets[name])] = True

        def corrected(*start: Any) -> Iterator[Frame]:
            observer = Observer(cells, self.settings.fields, held)  # which remembers, so each pass has its own
            return trajectory.frames(*start, observations=by_frame, observer=observer)  # type: ignore[call-arg]

        return replace(trajectory, frames=corrected)

    def _frames(
        self,
        mesh: CellMesh,
        values: Array,
        attributes: Sequence[float],
        steps: int,
        *,
        exact: Callable[[Array], Array] | None = None,
        observations: Mapping[int, Sequence[Observation]] | None = None,
        observer: Observer | None = None,
    ) -> Iterator[Frame]:
        graph, moving = self._prepared(mesh)
        step, following = float(self.step), _Following(partial(self.moving_on, mesh))
        now, done = Now(values, mesh.points, exact), 0
        yield Frame(0.0, values, mesh.points, values) if moving else Frame(0.0, values, following)
        while done < steps:
            bundle = self.advance(graph, now, attributes, moving)
            for now in bundle[: steps - done]:
                done += 1
                corrections = (observations or {}).get(done, ())
                for seen in corrections:
                    assert observer is not None
                    now = now.corrected(mesh, observer(now.values, seen))
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

    @torch.no_grad()
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
        device = self.unit.device
        state = state_of(self, [graph], [now.values], [attributes]).to(device)
        out = _finite(self.predicted(state))
        if moving is None:
            return [Now(values, now.points) for values in self._frames_of(out)]
        ahead = self.physical(out[:, -1]).cpu().double().numpy()
        points = moving(np.concatenate([now.values, ahead], axis=1), now.points)
        neighbours = self.settings.neighbours if self.settings.learned else 0
        start, before = now.there, now.points
        if callable(start):
            start, before = np.asarray(start(points.T), float), None  # type: ignore[assignment]
        known = None if start is None else self.normalised(torch.from_numpy(start).float()).to(device)
        last = None if start is None else before
        moved = Moved.of(moving.mesh, points, state.values.cpu(), last, neighbours, moving.locator)
        state = replace(state, moved=moved.to(device))
        assert state.moved is not None
        if known is None:
            known = self.taken_there(state, state.values)
        elif before is not None:
            known = self.taken_over(state.moved, known)
        state = replace(state, moved=replace(state.moved, values=known))
        there = _finite(self.evolved(state, out))
        pairs = zip(self._frames_of(self.returned(state, there)), self._frames_of(there), strict=True)
        return [Now(values, points, own) for values, own in pairs]

    def _frames_of(self, values: Tensor) -> Array:
        """(bundle, n, F) in the fields' units."""
        return self.physical(values).cpu().double().numpy().transpose(1, 0, 2)

    def with_second_branch(self, corrections: int = 5) -> MMPDE:
        """This model and a branch on the moved mesh, of so many layers, which has yet to learn: `fit` it with
        ``Config(settings, ahead=0)`` and ``start``."""
        other = type(self)(replace(self.settings, moving=True, corrections=corrections))
        other.load_state_dict({**other.state_dict(), **self.state_dict()})
        other.monitor, other.mover = self.monitor, self.mover
        return other.to(self.unit.device)

    def fit(self, data: Any, folder: str | Path, *, config: Any = None, **options: Any) -> MMPDE:
        """Train a model of this one's settings on a `TrajectoryDataset`; the best weights are taken over.

        `folder` gets log, checkpoint and weights; a second call goes on from there. `options` go to
        `meshmove.solvers.mmpde.fit.fit`.
        """
        from .fit import CONFIGS, fit

        config = replace(CONFIGS["small"], settings=self.settings) if config is None else config
        for _ in fit(config, folder, data=data, **({"monitor": self.monitor, "mover": self.mover} | options)):
            pass
        best = type(self).from_pretrained(Path(folder) / "best.safetensors")
        self.__dict__.update(best.__dict__ | {"_last": None})
        return self

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
        return write_weights(path, KIND, known, self.state_dict())

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path = "burgers") -> MMPDE:
        """A model from the name of a shipped one, "burgers", "burgers-still" (of one branch) or "cylinder", or from a
        .safetensors file.

        Raises
        ------
        WeightsError
            The file is missing, truncated, altered, or of another kind.
        """
        settings, tensors = read_weights(name_or_path, KIND, FOLDER)
        named: dict[str, Any] = dict(settings)
        try:
            monitor, mover = named.pop("monitor"), named.pop("mover")
            model = cls(Settings(**_with_tuples(named)))
            model.load_state_dict(tensors)
            model.monitor, model.mover = Monitor(**_with_tuples(monitor)), mover
        except KeyError as error:
            raise WeightsError(f"Expected the setting {error} in {name_or_path}: train the model again") from error
        except (TypeError, RuntimeError, ValueError) as error:
            raise WeightsError(f"Expected the weights of an MMPDE in {name_or_path} (got others: {error})") from error
        return model.eval()

    def __repr__(self) -> str:
        s = self.settings
        count = sum(p.numel() for p in self.parameters())
        kind = "two branches" if s.moving else "one branch"
        return f"MMPDE({kind}, {count:,} weights; fields {', '.join(s.fields)}; bundles of {s.bundle} frames)"


def _with_tuples(named: Mapping[str, Any]) -> dict[str, Any]:
    """Lists, which JSON makes of tuples, as tuples again."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in named.items()}


class _Following:
    """Where nodes go, for a model that computes without: each time from where they went the last time."""

    def __init__(self, make: Callable[[], Moving]) -> None:
        self._make = make
        self._moving: Moving | None = None
        self._points: Array | None = None

    def __call__(self, values: Array) -> Array:
        self._moving = self._moving or self._make()
        self._points = self._moving(values, self._points)
        return self._points


def _finite(values: Tensor) -> Tensor:
    if not bool(torch.isfinite(values).all()):
        raise FieldError(
            "Expected a rollout that stays finite (it did not within the next bundle): start from a field like those "
            "of training, roll out fewer frames, or correct it by measurements"
        )
    return values
