"""Trajectories from arrays: on the vertices of a mesh of any library."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from meshmove.geometry.given import as_list, as_numbers, by_name, integers, real
from meshmove.meshes.registry import converter_for
from meshmove.solvers.data.trajectories import DatasetError, Trajectories

from .frames import Frame, cells_of, gathered, plain_mesh

__all__ = ["from_arrays", "from_meshes"]


def from_arrays(
    mesh: Any,
    times: ArrayLike,
    fields: Mapping[str, ArrayLike],
    attributes: Mapping[str, ArrayLike],
    boundaries: Mapping[str, ArrayLike] | None,
) -> Trajectories:
    """See `TrajectoryDataset.from_arrays`."""
    plain = plain_mesh(mesh)
    nodes = plain.vertex_nodes
    values = {}
    for name, given in by_name(fields, "fields", DatasetError).items():
        array = as_numbers(given, repr(name), "real numbers", DatasetError)
        if array.ndim != 3 or array.shape[2] != plain.n_nodes:
            raise DatasetError(
                f"Expected fields of shape (trajectories, frames, nodes), {plain.n_nodes} nodes (got {name!r}: "
                f"{array.shape})"
            )
        values[name] = array if plain.lift is None else array[:, :, nodes]
    facets: dict[str, Any] = dict(plain.facets)
    if boundaries is not None:
        vertex = np.full(plain.n_nodes + 1, plain.n_points)  # out of range, where a node is no vertex
        vertex[nodes] = np.arange(len(nodes))
        sides = by_name(boundaries, "boundaries", DatasetError)
        given_ids = {name: integers(ids, f"node ids in {name!r}", error=DatasetError) for name, ids in sides.items()}
        facets = {k: np.where(v < 0, v, vertex[np.clip(v, 0, plain.n_nodes)]) for k, v in given_ids.items()}
    return Trajectories(
        plain.points, cells_of(plain), real(times, "times", error=DatasetError), values, facets,
        attributes,  # type: ignore[arg-type]
    )  # fmt: skip


def from_meshes(meshes: Iterable[Any], times: ArrayLike, fields: Sequence[str] | None) -> Trajectories:
    """See `TrajectoryDataset.from_meshes`."""
    each, when = as_list(meshes, "meshes", DatasetError), real(times, "times", error=DatasetError)
    if when.shape != (len(each),):
        raise DatasetError(f"Expected {len(each)} times, one for each mesh (got shape {when.shape})")
    frames = (Frame(float(t), m, converter_for(m).fields(m), "") for t, m in zip(when, each, strict=True))
    return gathered(frames, "the meshes", fields)
