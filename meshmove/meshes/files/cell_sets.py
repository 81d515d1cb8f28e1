"""Named groups of cells in a meshio mesh: where formats keep them, and how they survive formats that cannot.

A file format without sets gets them as cell data ``set:NAME`` (point data for point sets), one where a cell is in
the set and zero where not; reading turns these back into sets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import numpy as np
from numpy.typing import NDArray

from meshmove.meshes.regions import FEW, TAGS, means_regions

if TYPE_CHECKING:
    import meshio

__all__ = ["PREFIX", "cell_groups", "decode_sets", "encode_sets", "groups_of", "plain_labels", "shallow_copy"]

PREFIX = "set:"

_ENDS_A_NAME = re.compile(r"[\s\"'<>&%]")
_SKFEM_SUBDOMAIN = "skfem:s:"
#: cell data that stand for sets, or for the sides of cells
_ENCODED = (PREFIX, "skfem:")


def cell_groups(mesh: meshio.Mesh) -> dict[str, list[NDArray | None]]:
    """Name -> ids of its cells in each block, from cell sets and from tagged cells of any dimension.

    Tags take their names from `field_data` (Gmsh's physical names); a tag without a name is called by its number
    and counts for cells one dimension below the highest, where it makes a boundary.
    """
    sizes = [(block.dim, len(block)) for block in mesh.cells]
    return groups_of(sizes, mesh.cell_data, mesh.field_data, mesh.cell_sets)


def groups_of(
    blocks: Sequence[tuple[int, int]],
    cell_data: Mapping[str, Sequence[NDArray]],
    field_data: Mapping[str, NDArray],
    cell_sets: Mapping[str, Sequence[NDArray | None]],
) -> dict[str, list[NDArray | None]]:
    """The same for any library: `blocks` are the dimension and the number of cells of each block."""
    groups = {k: list(v) for k, v in cell_sets.items() if not k.startswith("gmsh:")}
    dims = [dim for dim, _ in blocks]
    top = max((dim for dim, size in blocks if size), default=0)
    for key, values in cell_data.items():
        name = next((unquote(key.removeprefix(p)) for p in (PREFIX, _SKFEM_SUBDOMAIN) if key.startswith(p)), None)
        if name and name not in groups:
            groups[name] = [np.flatnonzero(np.asarray(v).ravel()) for v in values]
    for key in _boundary_tags(cell_data, dims, top):
        _tagged(groups, cell_data[key], dims, top, field_data if key == "gmsh:physical" else {})
    return groups


def _boundary_tags(cell_data: Mapping[str, Sequence[NDArray]], dims: Sequence[int], top: int) -> list[str]:
    """Data whose numbers name boundaries: a reader's own tags, else what a name says unless it counts cells."""
    found = [k for k in TAGS if k in cell_data]
    if any(np.any(v) for k in found for v in cell_data[k]):
        return found
    for key, values in plain_labels(cell_data).items():
        edge = [v for v, d in zip(values, dims, strict=True) if d == top - 1 and v.dtype.kind in "iu"]
        count, size = (len(np.unique(np.concatenate(edge))), sum(map(len, edge))) if edge else (0, 0)
        if means_regions(key) and 0 < count <= max(FEW, size / 2):
            found.append(key)
    return found


def plain_labels(cell_data: Mapping[str, Sequence[NDArray]]) -> dict[str, list[NDArray]]:
    """Cell data with one real number a cell, as whole numbers where they are yes or no: a set is True or False.

    Words, one a cell, count as the numbers of their places in the alphabet.
    """
    out = {}
    for key, values in cell_data.items():
        arrays = _numbered([np.asarray(v) for v in values])
        if key.startswith(_ENCODED) or any(a.dtype.kind not in "biuf" or a.size != len(a) for a in arrays if a.ndim):
            continue
        out[key] = [a.ravel().astype(np.uint8) if a.dtype == bool else a.ravel() for a in arrays]
    return out


def _numbered(arrays: Sequence[NDArray]) -> list[NDArray]:
    """Arrays of words as numbers; others as they are."""
    if not arrays or any(a.dtype.kind not in "USO" or not a.ndim for a in arrays):
        return list(arrays)
    words = [w for a in arrays for w in a.ravel()]
    if not all(isinstance(w, str | bytes) for w in words) or len({type(w) for w in words}) > 1:
        return list(arrays)
    number = np.unique(np.array(words), return_inverse=True)[1].ravel()
    ends = np.cumsum([0, *(a.size for a in arrays)])
    return [number[i:j].reshape(a.shape) for a, i, j in zip(arrays, ends, ends[1:], strict=False)]


def _tagged(groups: dict, values: Sequence[NDArray], dims: Sequence[int], top: int, names: Mapping) -> None:
    named = set()
    for name, value in names.items():
        # field data may hold anything; Gmsh's physical names are pairs (tag, dimension)
        if np.size(value) == 2 and np.asarray(value).dtype.kind in "iu":
            tag, dim = (int(v) for v in np.ravel(value))
            named.add((tag, dim))
            members = [
                np.flatnonzero(np.asarray(v) == tag) if d == dim else None for v, d in zip(values, dims, strict=True)
            ]
            if name not in groups and any(m is not None and len(m) for m in members):
                groups[name] = members
    edge = [np.asarray(v).ravel() if d == top - 1 else np.empty(0, int) for v, d in zip(values, dims, strict=True)]
    # a file format may have lost the names and kept the sets: then the number would name a boundary twice
    present = {_key(members, dims, top - 1) for members in groups.values()}
    for tag in np.unique(np.concatenate(edge)) if edge else []:
        members = [np.flatnonzero(v == tag) for v in edge]
        if tag != 0 and (int(tag), top - 1) not in named and _key(members, dims, top - 1) not in present:
            groups.setdefault(str(int(tag)), members)


def _key(members: Sequence[NDArray | None], dims: Sequence[int], dim: int) -> bytes:
    chosen = [m if m is not None and d == dim else () for m, d in zip(members, dims, strict=True)]
    return b"|".join(np.unique(np.asarray(m, np.int64)).tobytes() for m in chosen)


def shallow_copy(mesh: meshio.Mesh) -> meshio.Mesh:
    """A mesh with containers of its own around the same arrays: writers add to and take from containers."""
    import meshio

    out = meshio.Mesh(
        mesh.points,
        list(mesh.cells),
        point_data=dict(mesh.point_data),
        cell_data={k: list(v) for k, v in mesh.cell_data.items()},
        field_data=dict(mesh.field_data),
        point_sets=dict(mesh.point_sets),
        cell_sets={k: list(v) for k, v in mesh.cell_sets.items()},
        gmsh_periodic=mesh.gmsh_periodic,
        info=mesh.info,
    )
    return out


def encode_sets(mesh: meshio.Mesh, names: Sequence[str] | None = None) -> meshio.Mesh:
    """A shallow copy whose sets are data; `names` limits which cell sets are kept (None: every group)."""
    out = shallow_copy(mesh)
    groups = cell_groups(mesh)
    numbered = {n for n in groups if n.isdigit() and n not in mesh.cell_sets}  # their tags are cell data already
    for name in groups if names is None else names:
        if name in numbered or _called(name) in out.cell_data or _SKFEM_SUBDOMAIN + name in out.cell_data:
            continue
        flags = [np.zeros(len(block), np.int32) for block in mesh.cells]
        for flag, members in zip(flags, groups[name], strict=True):
            if members is not None and len(members):
                flag[np.asarray(members)] = 1
        out.cell_data[_called(name)] = flags
    for name, members in mesh.point_sets.items():
        flag = np.zeros(len(mesh.points), np.int32)
        flag[np.asarray(members)] = 1
        out.point_data[_called(name)] = flag
    out.cell_sets, out.point_sets = {}, {}
    return out


def _called(name: str) -> str:
    """What the data of a set are called: as VTK does, what would end a name in some format is escaped."""
    return PREFIX + _ENDS_A_NAME.sub(lambda found: quote(found[0]), name)


def decode_sets(mesh: meshio.Mesh) -> meshio.Mesh:
    """Data ``set:NAME`` of a mesh that was just read, turned back into sets."""
    for key in [k for k in mesh.cell_data if k.startswith(PREFIX)]:
        mesh.cell_sets[unquote(key.removeprefix(PREFIX))] = [
            np.flatnonzero(np.ravel(v)) for v in mesh.cell_data.pop(key)
        ]
    for key in [k for k in mesh.point_data if k.startswith(PREFIX)]:
        mesh.point_sets[unquote(key.removeprefix(PREFIX))] = np.flatnonzero(np.ravel(mesh.point_data.pop(key)))
    return mesh
