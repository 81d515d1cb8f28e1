"""Which trajectories can stand in one data set, and which in one group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meshmove.solvers.data.trajectories import DatasetError, Trajectories

__all__ = ["difference", "merged", "step_of", "with_attributes"]


def step_of(group: Trajectories) -> float:
    """Time between frames."""
    return float(group.times[-1] - group.times[0]) / (len(group.times) - 1)


def difference(first: Trajectories, other: Trajectories) -> str | None:
    """How the other disagrees with the first such that they cannot stand in one data set."""
    for what in ("fields", "attributes"):
        names, wanted = sorted(getattr(other, what)), sorted(getattr(first, what))
        if names != wanted:
            return f"{what} {names} instead of {wanted}"
    dims = other.points.shape[1], first.points.shape[1]
    if dims[0] != dims[1]:
        return f"{dims[0]}-D points instead of {dims[1]}-D ones"
    steps = step_of(other), step_of(first)
    if abs(steps[0] - steps[1]) > 1e-6 * steps[1]:
        return f"a time step of {steps[0]:.6g} instead of {steps[1]:.6g}"
    return None


def merged(parts: Sequence[Trajectories]) -> tuple[Trajectories, ...]:
    """Neighbours of equal mesh, boundaries and times as one group."""
    runs: list[list[Trajectories]] = []
    for part in parts:
        if runs and _fit(runs[-1][0], part):
            runs[-1].append(part)
        else:
            runs.append([part])
    return tuple(_joined(run) for run in runs)


def with_attributes(groups: Sequence[Trajectories], attributes: Mapping[str, ArrayLike]) -> tuple[Trajectories, ...]:
    """The groups with numbers for each trajectory of all of them set."""
    ends = np.cumsum([len(group) for group in groups])
    parts: list[dict[str, NDArray]] = [{} for _ in groups]
    for name, given in attributes.items():
        values = np.asarray(given, float)
        if values.shape != (ends[-1],):
            raise DatasetError(f"Expected {ends[-1]} values of attribute {name!r} (got shape {values.shape})")
        for part, some in zip(parts, np.split(values, ends[:-1]), strict=True):
            part[name] = some
    return tuple(group.with_attributes(part) if part else group for group, part in zip(groups, parts, strict=True))


def _fit(a: Trajectories, b: Trajectories) -> bool:
    return (
        np.array_equal(a.points, b.points)
        and np.array_equal(a.times, b.times)
        and _equal(a.cells, b.cells)
        and _equal(a.boundaries, b.boundaries)
    )


def _equal(a: Mapping[str, NDArray], b: Mapping[str, NDArray]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def _joined(run: Sequence[Trajectories]) -> Trajectories:
    if len(run) == 1:
        return run[0]
    first = run[0]
    fields = {name: np.concatenate([part.fields[name] for part in run]) for name in first.fields}
    numbers = {name: np.concatenate([part.attributes[name] for part in run]) for name in first.attributes}
    same = {key: value for key, value in first.about.items() if all(part.about.get(key) == value for part in run)}
    return Trajectories(first.points, first.cells, first.times, fields, first.boundaries, numbers, same)
