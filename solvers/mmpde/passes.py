"""One pass of the network in a rollout: from where it stands to the frames of the next bundle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from meshmove.geometry import CellMesh, FieldError
from meshmove.geometry.arrays import Array
from meshmove.motion.frames import Moving

from .correcting.based import based_of, frames_of
from .graph import Graph
from .network import TwoBranches
from .prior.known import Known
from .prior.rest import departures
from .rollout import interpolated
from .state import Moved, State, state_of

__all__ = ["Now", "advanced"]


#: a state at which the network itself moves by more than this share of a usual change is not at rest
DRIFT = 0.05


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

    def imposed(self, known: Known) -> Now:
        """With what is known on boundaries, along which nodes slide: a moved node has the value of its boundary."""
        there = self.on_moved
        exact = self.there if there is None else known.imposed(there)
        return replace(self, values=known.imposed(self.values), there=exact)


@torch.no_grad()
def advanced(
    model: TwoBranches, graph: Graph, now: Now, attributes: Sequence[float], moving: Moving | None
) -> list[Now]:
    """The frames of a bundle; see `MMPDE.advance`."""
    mesh: Any = graph.operators.mesh
    known = frames_of(model, mesh, now.values, attributes) if model.settings.base else None
    state = state_of(model, [graph], [now.values], [attributes], based=[known]).to(model.unit.device)
    rest = _Rest(model, graph, now.values)
    out = _finite(rest.less(model.predicted, state))
    if moving is None:
        frames = rest.frames(out) if known is None else _added(model, state, out, known)
        return [Now(values, now.points) for values in frames]
    ahead = model.physical(out[:, -1]).cpu().double().numpy()
    points = moving(np.concatenate([now.values, ahead], axis=1), now.points)
    state = _moved(model, state, now, points, moving, attributes)
    assert state.moved is not None
    rest = rest.and_there(model.physical(state.moved.values).cpu().double().numpy())
    there = _finite(rest.less(lambda s: model.evolved(s, out if s is state else rest.constant(out)), state))
    pairs = zip(rest.frames(model.returned(state, there)), rest.frames(there), strict=True)
    return [Now(values, points, own) for values, own in pairs]


def _added(model: TwoBranches, state: State, out: Tensor, known: Array) -> Array:
    """Frames (bundle, n, F): those of the base and what the network adds, so that 0 added is not even rounding."""
    assert state.based is not None
    added = ((out - state.based.frames) * model.std).cpu().double().numpy()
    return (known + added).transpose(1, 0, 2)


def _moved(
    model: TwoBranches, state: State, now: Now, points: Array, moving: Moving, attributes: Sequence[float]
) -> State:
    """The state with moved nodes, and the fields carried there from where they have been."""
    device, neighbours = model.unit.device, model.settings.neighbours if model.settings.learned else 0
    start, before = now.there, now.points
    if callable(start):
        start, before = np.asarray(start(points.T), float), None  # type: ignore[assignment]
    known = None if start is None else model.normalised(torch.from_numpy(start).float()).to(device)
    last = None if start is None else before
    own = state.graph.operators if model.settings.curved else None
    moved = Moved.of(moving.mesh, points, state.values.cpu(), last, neighbours, moving.locator, own).to(device)
    state = replace(state, moved=moved)
    if known is None:
        known = model.taken_there(state, state.values)
    elif before is not None:
        known = model.taken_over(moved, known)
    based = None
    if model.settings.base_moves:
        values = model.physical(known).cpu().double().numpy()
        based = based_of(model, moving.mesh.moved(points), values, attributes).to(device)
    return replace(state, moved=replace(moved, values=known, based=based))


class _Rest:
    r"""Takes off what the network moves at rest, where the fields are nearer to it than those of training:

    .. math:: N(u) - (1 - s) (N(c) - c), \qquad s = \min(1, \max |u - c| / d),

    the maximum over what a node sees, d the least of training. At rest nothing moves, near it the network's linear part
    does, and what is like the data is left as it is.
    """

    def __init__(self, model: TwoBranches, graph: Graph, values: Array, share: Array | None = None) -> None:
        self._model, self._graph = model, graph
        self._state: Array | None = None
        self._share: Array | None = None
        if model.seen is None or model.seen.rest is None or model.settings.base:
            return  # corrections of a base vanish at rest
        state, self._enough = model.seen.rest
        self._state = known = np.array(state, float)
        here = self._shares(values - known)
        share = here if share is None else np.maximum(share, here)
        self._share = share if share.min() < 1 else None

    def _shares(self, departure: Array) -> Array:
        off = departure / self._model.std.cpu().double().numpy()
        edges = self._graph.edges.cpu().numpy()
        return np.minimum(1.0, departures(edges, off, self._model.settings.layers, self._enough) / self._enough)

    def and_there(self, values: Array) -> _Rest:
        """The same, where values at the moved nodes must be at rest, too."""
        return self if self._share is None else _Rest(self._model, self._graph, values, self._share)

    def constant(self, like: Tensor) -> Tensor:
        """The state of rest, normalised, in the shape (N, ..., F) of another tensor."""
        assert self._state is not None
        return self._model.normalised(torch.from_numpy(self._state).float()).to(like).expand_as(like)

    def less(self, step: Callable[[State], Tensor], state: State) -> Tensor:
        """Values (N, bundle, F) after a step, less what it moves at rest."""
        out = step(state)
        if self._share is None:
            return out
        values = self.constant(state.values)
        moved = None if state.moved is None else replace(state.moved, values=values)
        drift = step(replace(state, values=values, moved=moved)) - self.constant(out)
        if float((drift / self._model.change).square().mean().sqrt()) > DRIFT:
            self._share = None  # the fields are driven
            return out
        share = torch.from_numpy(self._share).to(out)[:, None, None]
        return out - (1 - share) * drift

    def frames(self, values: Tensor) -> Array:
        """(bundle, n, F) in the fields' units; at rest without rounding."""
        out = self._model.physical(values).cpu().double().numpy().transpose(1, 0, 2)
        if self._share is not None:
            out[:, self._share == 0] = self._state
        return out


def _finite(values: Tensor) -> Tensor:
    if not bool(torch.isfinite(values).all()):
        raise FieldError(
            "Expected a rollout that stays finite (it did not within the next bundle): start from a field like those "
            "of training, roll out fewer frames, or correct it by measurements"
        )
    return values
