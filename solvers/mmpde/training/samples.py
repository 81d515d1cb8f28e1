"""Where training starts from: frames of a data set as states of the network, with moved meshes cached on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from meshmove.geometry import PointLocator
from meshmove.motion.frames import Moving
from meshmove.progress import progress_of
from meshmove.solvers.data import DatasetError, Trajectories, TrajectoryDataset
from meshmove.solvers.mmpde.correcting.based import based_of, frames_of
from meshmove.solvers.mmpde.graph import Graph
from meshmove.solvers.mmpde.network import Settings, TwoBranches
from meshmove.solvers.mmpde.prior.seen import Seen
from meshmove.solvers.mmpde.state import Moved, State, state_of
from meshmove.whole_files import whole

__all__ = ["Batch", "Samples", "calibrate", "moved_frames"]

#: bytes of a base's frames that are kept
KEPT = 1 << 30

MovingOf = Callable[[Trajectories], Moving]


@dataclass(frozen=True, eq=False)
class Batch:
    """Starts and what comes after them.

    `states`: one for each bundle to be unrolled; values of all but the first are to be replaced by predictions.
    `targets`: normalised values (N, bundle, F) of each at the nodes of the mesh; `moved`: at the moved nodes.
    """

    states: tuple[State, ...]
    targets: tuple[Tensor, ...]
    moved: tuple[Tensor, ...] = ()

    def to(self, device: torch.device | str) -> Batch:
        return Batch(*(tuple(t.to(device) for t in part) for part in vars(self).values()))


class Samples:
    """All starts of a data set, by number.

    Parameters
    ----------
    data
        Trajectories of at least one bundle and a frame more.
    model
        Whose normalisation and settings count.
    moving
        Makes the mover of a group's mesh; not called for a model without the moving branch.
    folder
        Where moved meshes are kept.
    unroll
        Bundles that follow each other in a sample.

    Raises
    ------
    DatasetError
        Trajectories are too short, or the fields are not the model's.
    """

    def __init__(
        self,
        data: TrajectoryDataset,
        model: TwoBranches,
        moving: MovingOf,
        folder: Path,
        unroll: int = 1,
        progress: bool = False,
    ) -> None:
        s = self.settings = model.settings
        if data.fields != s.fields:
            raise DatasetError(f"Expected the fields {list(s.fields)} (got {list(data.fields)})")
        self.data, self._model = data, model
        self._unroll(unroll)
        self._meshes = [g.mesh for g in data.groups]
        self._locators = [PointLocator(m.simplicial()) for m in self._meshes] if s.moving else []
        self._graphs = [Graph.of(m, s.boundaries, s.reach, s.directions) for m in self._meshes]
        self._fields = [np.stack([g.fields[name] for name in s.fields], axis=3) for g in data.groups]
        self._steps: dict[tuple[int, int, int], NDArray[np.float32]] = {}  # of the base
        self._moved: list[NDArray[np.float32] | None] = [None] * len(data.groups)
        if s.moving:
            self._moved = [moved_frames(g, moving, s.bundle, folder, progress) for g in data.groups]

    def unrolled(self, unroll: int) -> Samples:
        """The same data with so many bundles in a sample."""
        other = copy(self)
        other._unroll(unroll)
        return other

    @property
    def reach(self) -> int:
        """Bundles that all trajectories have, one after the other."""
        return (min(len(g.times) for g in self.data.groups) - 1) // self.settings.bundle

    def _unroll(self, unroll: int) -> None:
        span, groups = self.settings.bundle * unroll, self.data.groups
        short = [len(g.times) for g in groups if len(g.times) <= span]
        if short:
            raise DatasetError(f"Expected at least {span + 1} frames a trajectory, for {unroll} bundles of "
                               f"{self.settings.bundle} (got {min(short)}): take a smaller bundle")  # fmt: skip
        starts = [(i, j, k) for i, g in enumerate(groups) for j in range(len(g)) for k in range(len(g.times) - span)]
        self.unroll, self._starts = unroll, np.array(starts)

    def __len__(self) -> int:
        return len(self._starts)

    def shuffled(self, numbers: range, seed: int) -> NDArray[np.int64]:
        """Ids of the starts with these numbers in an endless sequence of shuffled passes."""
        n = len(self)
        passes = {k: np.random.default_rng([seed, k]).permutation(n) for k in {i // n for i in numbers}}
        return np.array([passes[i // n][i % n] for i in numbers])

    def each(self, every: int) -> NDArray[np.int64]:
        """Ids of the starts at frames 0, every, 2 every, ... of each trajectory."""
        return np.flatnonzero(self._starts[:, 2] % every == 0)

    def batch(self, ids: Sequence[int] | NDArray[np.int64], moved: bool = True) -> Batch:
        """Some of the starts, side by side; `moved` meshes only for a model that has such."""
        s, w, rows = self.settings, self.settings.bundle, self._starts[np.asarray(ids)]
        states, targets, targets_there = [], [], []
        for part in range(self.unroll):
            here = [(int(i), int(j), int(k) + part * w) for i, j, k in rows]
            values = [self._fields[i][j, k] for i, j, k in here]
            attributes = [[self.data.groups[i].attributes[name][j] for name in s.attributes] for i, j, _ in here]
            graphs = [self._graphs[i] for i, _, _ in here]
            there = [self._there(*at, part > 0) for at in here] if s.moving and moved else []
            based = self._based(here, part, values, attributes)
            states.append(state_of(self._model, graphs, values, attributes, [m for m, _ in there] or None, based))
            after = [self._fields[i][j, k + 1 : k + 1 + w].transpose(1, 0, 2) for i, j, k in here]
            targets.append(self._model.normalised(torch.from_numpy(np.concatenate(after)).float()))
            if there:
                targets_there.append(torch.cat([t for _, t in there]))
        return Batch(tuple(states), tuple(targets), tuple(targets_there))

    def _based(
        self,
        starts: Sequence[tuple[int, int, int]],
        part: int,
        values: Sequence[NDArray],
        attributes: list[list[float]],
    ) -> list[NDArray | None] | None:
        """The base's frames from starts of trajectories, kept while there is room; later bundles start elsewhere."""
        if not self.settings.base:
            return None
        if part:
            return [v[:, None].repeat(self.settings.bundle, 1) for v in values]  # to be replaced
        found: list[NDArray | None] = []
        for key, u, given in zip(starts, values, attributes, strict=True):
            if key not in self._steps:
                frames = frames_of(self._model, self._meshes[key[0]], u, given).astype(np.float32)
                if sum(v.nbytes for v in self._steps.values()) < KEPT:
                    self._steps[key] = frames
                found.append(frames)
            else:
                found.append(self._steps[key])
        return found

    def _there(self, i: int, j: int, k: int, goes_on: bool) -> tuple[Moved, Tensor]:
        """The moved mesh of a frame, and normalised values (n, bundle, F) there of the frames that follow."""
        s, group, positions = self.settings, self.data.groups[i], self._moved[i]
        assert positions is not None
        values = group.at(positions[j, k], j, slice(k, k + s.bundle + 1), s.fields).transpose(1, 0, 2)
        known = self._model.normalised(torch.from_numpy(np.ascontiguousarray(values, np.float32)))
        before = positions[j, k - s.bundle] if goes_on else None
        neighbours = s.neighbours if s.learned else 0
        mesh, locator = self._meshes[i], self._locators[i]
        own = self._graphs[i].operators if s.curved else None
        moved = Moved.of(mesh, positions[j, k], known[:, 0], before, neighbours, locator, own)
        if s.base_moves:
            given = [float(group.attributes[name][j]) for name in s.attributes]
            there = mesh.moved(np.asarray(positions[j, k], float))
            moved = replace(moved, based=based_of(self._model, there, values[:, 0].astype(float), given))
        return moved, known[:, 1:]


def moved_frames(
    group: Trajectories, moving: MovingOf, bundle: int, folder: Path, progress: bool = False
) -> NDArray[np.float32]:
    """Moved positions (trajectories, frames, n, d) for every frame of a group, from `folder` where they are there.

    Nodes go to where the frame and the one a bundle later want them.

    Every trajectory is written when it is done, so that an interrupted run goes on from there.
    """
    mover, n = moving(group), len(group)
    fields = np.stack([np.asarray(v) for v in group.fields.values()], axis=3)
    out = np.empty((n, len(group.times), *group.points.shape), np.float32)
    for i in progress_of(range(n), "moving meshes", progress):
        path = folder / f"moved-{_key(group, fields[i], mover, bundle)}.npy"
        if _read(path, out[i]):
            continue
        start = None
        for k in range(len(fields[i])):
            ahead = fields[i, min(k + bundle, len(fields[i]) - 1)]
            out[i, k] = start = mover(np.concatenate([fields[i, k], ahead], axis=1), start)
        with whole(path) as part, part.open("wb") as file:
            np.save(file, out[i])
    return out


def _read(path: Path, out: NDArray[np.float32]) -> bool:
    """Fills the array from a file; False where that is missing or damaged."""
    try:
        known = np.load(path, mmap_mode="r", allow_pickle=False)  # whatever shape a damaged file claims
    except (FileNotFoundError, ValueError, EOFError):
        return False
    if known.shape != out.shape or known.dtype != out.dtype or not np.isfinite(known).all():
        return False
    out[...] = known
    return True


def _key(group: Trajectories, values: NDArray, mover: Moving, bundle: int) -> str:
    h = hashlib.sha256(f"{mover.monitor!r} {mover.mover!r} {bundle}".encode())
    for array in (group.points, values, *group.cells.values()):
        h.update(np.ascontiguousarray(array).tobytes())
    return h.hexdigest()[:24]


def calibrate(model: TwoBranches, data: TrajectoryDataset) -> None:
    """Set the model's normalisation from the data it is trained on: means and sizes of fields, of their changes, of
    attributes and of edges, the time between frames, and the ranges of what it sees."""
    s: Settings = model.settings
    model.seen = Seen.of(data, s.layers)
    scales = data.scales()
    model.mean.copy_(torch.tensor([scales[name][0] for name in s.fields]))
    model.std.copy_(torch.tensor([max(scales[name][1], 1e-12) for name in s.fields]))
    change, count = np.zeros((s.bundle, len(s.fields))), np.zeros(s.bundle)
    lengths = []
    for g in data.groups:
        for k in range(1, s.bundle + 1):
            d = [(np.diff(g.fields[name][:, ::k], axis=1).astype(float) ** 2).sum() for name in s.fields]
            change[k - 1] += d
            count[k - 1] += g.fields[s.fields[0]][:, ::k][:, 1:].size
        ends = g.points[np.asarray(g.mesh.edges)]
        lengths.append(np.sqrt(((ends[:, 0] - ends[:, 1]) ** 2).sum(axis=1)).mean())
    sizes = np.sqrt(change / np.maximum(count, 1)[:, None])  # too few frames: `Samples` says so
    model.change.copy_((torch.from_numpy(sizes) / model.std).clamp_min(1e-3))
    model.unit.fill_(float(np.mean(lengths)))
    model.step.fill_(data.step)
    attributes = np.array(
        [[g.attributes[name][j] for name in s.attributes] for g in data.groups for j in range(len(g))]
    )
    if s.attributes:
        model.attribute_mean.copy_(torch.from_numpy(attributes.mean(axis=0)))
        spread = attributes.std(axis=0)
        model.attribute_std.copy_(torch.from_numpy(np.where(spread > 0, spread, np.abs(attributes[0]) + 1.0)))
