"""`MeshTags` of facets and cells: which boundaries and regions a mesh has.

DOLFINx keeps tags beside the mesh, not in it. `with_tags` gives the same mesh (its C++ object, its UFL domain) with
them attached; moved meshes keep them, and since topologies are shared the tags are valid there, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.arrays import Ids

from .cells import facet_vertices
from .versions import cell_name, node_table

__all__ = ["attached", "cell_labels", "facet_nodes", "named_facets", "named_modes", "tags_of", "with_tags"]

_ATTRIBUTE = "_meshmove_tags"


def with_tags(domain: Any, facet_tags: Any = None, cell_tags: Any = None) -> Any:
    """The same mesh with tags that say which boundaries and regions it has; the one given stays without them.

    Parameters
    ----------
    domain
        A `dolfinx.mesh.Mesh`.
    facet_tags
        `MeshTags` of facets. Each value is a boundary, or an interface inside, by the name of its number: "3".
    cell_tags
        `MeshTags` of cells. Cells of different values are different regions, whose interfaces are kept; those without
        a value are one more.

    Returns
    -------
    A shallow copy: functions and forms on one are functions and forms on the other.

    Raises
    ------
    ValueError
        Tags of entities of another dimension, or of numbers that the mesh does not have.
    """
    dim = domain.topology.dim
    domain.topology.create_entities(dim - 1)
    _check(domain, facet_tags, dim - 1, "facet_tags")
    _check(domain, cell_tags, dim, "cell_tags")
    return attached(domain, (facet_tags, cell_tags))


def attached(domain: Any, tags: tuple[Any, Any]) -> Any:
    """A shallow copy of a mesh that has these tags."""
    out = copy(domain)
    setattr(out, _ATTRIBUTE, tags)
    return out


def tags_of(mesh: Any) -> tuple[Any, Any]:
    """Tags of facets and cells that are attached to a mesh."""
    return getattr(mesh, _ATTRIBUTE, (None, None))


def _check(domain: Any, tags: Any, dim: int, name: str) -> None:
    if tags is None:
        return
    if not all(hasattr(tags, part) for part in ("dim", "indices", "values")):
        raise ValueError(f"Expected {name} as dolfinx.mesh.MeshTags (got {type(tags).__name__})")
    if tags.dim != dim:
        raise ValueError(f"Expected {name} of entities of dimension {dim} (got tags of dimension {tags.dim})")
    numbers = domain.topology.index_map(dim)
    count, most = numbers.size_local + numbers.num_ghosts, int(np.max(tags.indices, initial=-1))
    if most >= count:
        raise ValueError(
            f"Expected {name} of this mesh, with entities from 0 to {count - 1} (got entity {most}). "
            "Tags belong to the mesh that they were made for, and to those that were moved from it"
        )


def facet_nodes(mesh: Any, facets: NDArray[np.int32]) -> Ids:
    """Vertices (f, k) of facets, as numbers of geometry nodes, going round each."""
    topology, dim = mesh.topology, mesh.topology.dim
    topology.create_connectivity(dim - 1, dim)
    topology.create_connectivity(dim, dim - 1)
    cells_of, facets_of = topology.connectivity(dim - 1, dim), topology.connectivity(dim, dim - 1)
    cell = np.asarray(cells_of.array)[np.asarray(cells_of.offsets)[facets]]
    local = facet_vertices(cell_name(mesh))
    slots = np.asarray(facets_of.array).reshape(-1, len(local))[cell]
    which = np.argmax(slots == np.asarray(facets)[:, None], axis=1)
    return node_table(mesh)[cell[:, None], local[which]]


def named_facets(mesh: Any) -> dict[str, Ids]:
    """Vertices (f, k) of the facets of each value of the mesh's tags, by its number as a name."""
    tags = tags_of(mesh)[0]
    if tags is None:
        return {}
    indices, values = np.asarray(tags.indices), np.asarray(tags.values)
    return {str(value): facet_nodes(mesh, indices[values == value]) for value in np.unique(values)}


def cell_labels(mesh: Any, n_cells: int, every: NDArray | None = None) -> dict[str, NDArray]:
    """Numbers (n_cells,) that tell regions apart, "cell_tags", where the mesh has such tags.

    `every`: the values of the whole mesh, where other processes may have others; numbers count them.
    """
    tags = tags_of(mesh)[1]
    if tags is None:
        return {}
    indices, values = np.asarray(tags.indices), np.asarray(tags.values)
    code = np.searchsorted(np.unique(values) if every is None else every, values) + 1
    labels = np.zeros(n_cells, np.int64)
    mine = indices < n_cells
    labels[indices[mine]] = code[mine]
    return {"cell_tags": labels}


def named_modes(boundary: Any) -> Any:
    """The option `boundary` with names as they are here: numbers of tags may be given as numbers."""
    return {str(k): v for k, v in boundary.items()} if isinstance(boundary, Mapping) else boundary
