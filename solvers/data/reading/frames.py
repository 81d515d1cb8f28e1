"""Frames of a time series, whatever they come from, as one trajectory; what is wrong in which frame is said."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellMesh, FieldError
from meshmove.geometry.given import names as names_of
from meshmove.meshes.registry import converter_for
from meshmove.solvers.data.trajectories import DatasetError, Trajectories

__all__ = ["Frame", "cells_of", "check_times", "chosen", "gathered", "plain_mesh"]

#: how far a frame may be from equal distances, in parts of them: files round times to six digits
ROUNDING = 1e-4


class Frame(NamedTuple):
    """A mesh with its nodal values at a time, and what messages call it."""

    time: float
    mesh: Any
    values: Mapping[str, NDArray]
    name: str


def check_times(times: NDArray, where: str) -> float:
    """The time between frames, which must be the same throughout."""
    if len(times) < 2:
        raise DatasetError(f"Expected at least two frames (got {len(times)} in {where})")
    steps = np.diff(times)
    step = float(steps.mean())
    off = np.flatnonzero(np.abs(steps - np.median(steps)) > ROUNDING * step)
    if len(off):
        raise DatasetError(
            f"Expected frames at equal distances in time (got {steps[off[0]]:.6g} before frame {off[0] + 1}, elsewhere "
            f"{np.median(steps):.6g}, in {where}); interpolate to equal steps, or cut the file"
        )
    return step


def gathered(frames: Iterable[Frame], where: str, wanted: Sequence[str] | None) -> Trajectories:
    """One trajectory from its frames, which must share mesh and fields."""
    coming = iter(frames)
    before = next(coming, None)
    if before is None:
        raise DatasetError(f"Expected at least two frames (got none in {where})")
    mesh = plain_mesh(before.mesh)
    nodes = mesh.vertex_nodes
    times: list[float] = []
    values: dict[str, list[NDArray]] = {}
    for k, frame in enumerate(chain([before], coming)):
        at = f"frame {k}{frame.name} of {where}"
        if frame.mesh is not before.mesh:
            other = plain_mesh(frame.mesh)
            if not _same(mesh, other):
                raise DatasetError(f"Expected one mesh in all frames (got another, {other!r}, in {at})")
        here = chosen(_components(frame.values, mesh.n_nodes, at), wanted, at)
        if values and set(here) != set(values):
            less, more = sorted(set(values) - set(here)), sorted(set(here) - set(values))
            raise FieldError(
                f"Expected the fields {', '.join(values)} in all frames (got "
                + (f"no {', '.join(less)}" if less else f"{', '.join(more)} too")
                + f" in {at}); name fields that all frames have"
            )
        for name, array in here.items():
            bad = np.flatnonzero(~np.isfinite(array))
            if len(bad):
                raise FieldError(f"Expected finite values (got others in {name!r} at {len(bad)} nodes of {at})")
            values.setdefault(name, []).append(array[nodes])
        times.append(frame.time)
        before = frame
    falling = np.flatnonzero(np.diff(times) <= 0)
    if len(falling):
        raise DatasetError(f"Expected increasing times (got {times[falling[0] + 1]:.6g} in frame {falling[0] + 1} "
                           f"after {times[falling[0]]:.6g}, of {where})")  # fmt: skip
    fields = {name: np.stack(arrays)[None] for name, arrays in values.items()}
    flat = [n for n in fields if n.endswith("_z") and mesh.dim == 2 and n[:-1] + "x" in fields and not fields[n].any()]
    fields = {name: array for name, array in fields.items() if name not in flat}
    return Trajectories(mesh.points, cells_of(mesh), np.array(times), fields, dict(mesh.facets), about={"from": where})


def plain_mesh(mesh: Any) -> CellMesh:
    """The arrays of a mesh of any class that is known."""
    return mesh if isinstance(mesh, CellMesh) else converter_for(mesh).read(mesh)


def cells_of(mesh: CellMesh) -> dict[str, NDArray]:
    """Cells by kind."""
    blocks: dict[str, list[NDArray]] = {}
    for block in mesh.blocks:
        blocks.setdefault(block.kind.name, []).append(block.nodes)
    return {kind: np.concatenate(nodes) for kind, nodes in blocks.items()}


def _same(a: CellMesh, b: CellMesh) -> bool:
    one, other = cells_of(a), cells_of(b)
    return (
        a.points.shape == b.points.shape
        and one.keys() == other.keys()
        and all(np.array_equal(one[kind], other[kind]) for kind in one)
        and bool(np.abs(a.points - b.points).max(initial=0.0) <= 1e-9 * a.extent)
    )


def _components(values: Mapping[str, NDArray], n_nodes: int, at: str) -> dict[str, NDArray]:
    """Floating fields of one number a node; vectors as NAME_x, NAME_y, NAME_z, longer ones numbered."""
    found: dict[str, NDArray] = {}
    for name, given in values.items():
        array = np.asarray(given)
        if array.dtype.kind != "f":
            continue  # ids and tags
        array = array if array.dtype == np.float32 else array.astype(float)
        if len(array) != n_nodes:
            raise FieldError(f"Expected {n_nodes} nodal values of {name!r} (got shape {array.shape} in {at})")
        parts = array.reshape(n_nodes, -1).T
        ends = ("",) if len(parts) == 1 else ("_x", "_y", "_z")[: len(parts)]
        if len(parts) > 3:
            ends = tuple(f"_{i}" for i in range(len(parts)))
        found.update({name + end: part for end, part in zip(ends, parts, strict=True)})
    return found


def chosen(values: dict[str, NDArray], wanted: Sequence[str] | None, at: str) -> dict[str, NDArray]:
    """Those that are asked for; a vector by its name, too."""
    if wanted is None:
        picked = values
    else:
        picked = {}
        for name in names_of(wanted, "names of fields", DatasetError):
            parts = [n for n in values if n == name or re.fullmatch(re.escape(name) + r"_([xyz]|\d+)", n)]
            if not parts:
                raise FieldError(f"Expected the field {name!r} (got {', '.join(values) or 'no nodal field'} in {at})")
            picked.update({n: values[n] for n in ([name] if name in values else parts)})
    if not picked:
        raise FieldError(f"Expected at least one nodal field of floating numbers (got none in {at})")
    return picked
