"""How a mesh goes into Gmsh's ``.msh`` without losing its groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .cell_sets import cell_groups, encode_sets, shallow_copy

if TYPE_CHECKING:
    import meshio

__all__ = ["msh_variants", "with_physical_tags"]


def msh_variants(mesh: meshio.Mesh) -> list[tuple[meshio.Mesh, str]]:
    """What to write, and as which of meshio's formats: the next where the one before is refused.

    Version 4.1 keeps tags by geometrical entity, version 2.2 cell by cell. Sets that are no physical groups become
    data ``set:NAME``.
    """
    tagged = with_physical_tags(mesh)
    extra = [n for n in tagged.cell_sets if not n.startswith("gmsh:") and not _held(tagged, n)]
    plain = encode_sets(tagged, extra)
    found = []
    if _by_entity(mesh):
        newer = shallow_copy(plain)
        newer.cell_sets = {k: v for k, v in mesh.cell_sets.items() if k == "gmsh:bounding_entities"}
        found.append((newer, "gmsh"))
    plain.point_data.pop("gmsh:dim_tags", None)
    return [*found, (plain, "gmsh22")]


def _held(mesh: meshio.Mesh, name: str) -> bool:
    """Whether a cell set is one of the physical groups, cell by cell: a cell has one tag, but may be in more sets."""
    if name not in mesh.field_data or "gmsh:physical" not in mesh.cell_data:
        return False
    tag, dim = (int(v) for v in np.ravel(mesh.field_data[name]))
    for block, tags, members in zip(mesh.cells, mesh.cell_data["gmsh:physical"], mesh.cell_sets[name], strict=True):
        expected = np.flatnonzero(np.asarray(tags) == tag) if block.dim == dim else np.empty(0, int)
        if not np.array_equal(expected, np.unique([] if members is None else members)):
            return False
    return True


def _by_entity(mesh: meshio.Mesh) -> bool:
    """Whether meshio's writer of Gmsh's version 4.1 keeps all tags: one entity and one tag a block, no two alike."""
    keys = ("gmsh:geometrical", "gmsh:physical")
    if "gmsh:dim_tags" not in mesh.point_data or any(k not in mesh.cell_data for k in keys):
        return False
    if any(len(np.unique(values)) != 1 for k in keys for values in mesh.cell_data[k]):
        return False
    entities = [(b.dim, int(v[0])) for b, v in zip(mesh.cells, mesh.cell_data[keys[0]], strict=True)]
    known = {tuple(row) for row in np.unique(np.asarray(mesh.point_data["gmsh:dim_tags"]), axis=0).tolist()}
    return len(set(entities)) == len(entities) and set(entities) <= known


def with_physical_tags(mesh: meshio.Mesh) -> meshio.Mesh:
    """A shallow copy whose sets are physical groups where it has none and no two sets overlap."""
    out = shallow_copy(mesh)
    if "gmsh:physical" not in out.cell_data:
        groups = {k: v for k, v in cell_groups(mesh).items() if k in mesh.cell_sets}
        tags = [np.zeros(len(block), np.int32) for block in mesh.cells]
        names = {}
        for tag, (name, members) in enumerate(groups.items(), start=1):
            cells = [
                (t, m, b.dim) for t, m, b in zip(tags, members, mesh.cells, strict=True) if m is not None and len(m)
            ]
            if len({dim for _, _, dim in cells}) == 1 and not any(t[m].any() for t, m, _ in cells):
                for t, m, _ in cells:
                    t[m] = tag
                names[name] = np.array([tag, cells[0][2]])
        if names:
            out.cell_data["gmsh:physical"] = tags
            out.field_data.update(names)
    if "gmsh:physical" in out.cell_data and "gmsh:geometrical" not in out.cell_data:
        out.cell_data["gmsh:geometrical"] = [np.asarray(v) for v in out.cell_data["gmsh:physical"]]
    for key in ("gmsh:physical", "gmsh:geometrical"):
        if key in out.cell_data:
            out.cell_data[key] = [np.asarray(v).astype(np.int32) for v in out.cell_data[key]]
    return out
