"""Which cells belong together: subdomains under any name, from cell data, cell sets and cell blocks.

Mesh libraries and file formats have no common name for a material: ``material``, ``mat_id``, ``attribute``,
``MaterialIDs``, ``gmsh:physical`` ... So the names decide only where they are clear, and the values elsewhere:
integers that change across few facets tell subdomains apart; numbers of cells change across all of them, colours
and random flags across half or more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellMesh, InvalidMeshError
from meshmove.geometry.sliding import facets_of

__all__ = [
    "AUTO",
    "BLOCKS",
    "FEW",
    "TAGS",
    "check_choice",
    "has_physical_groups",
    "means_regions",
    "select",
    "verdicts",
]

AUTO = "auto"
#: the name under which consecutive blocks of cells of one type count (Exodus, Abaqus)
BLOCKS = "cell blocks"
#: what meshio calls the numbers of the entities around each of Gmsh's: a set for each block of cells, but not of cells
BOUNDING = "gmsh:bounding_entities"
#: data under unknown names are regions up to this share of facets across which they change; the children of one
#: refined cell, random flags and colours reach a half
_SHARE = 0.4
#: integer cell data that meshio's readers use for groups of cells, whatever their values
TAGS = (
    "gmsh:physical",
    "medit:ref",
    "su2:tag",
    "nastran:ref",
    "netgen:index",
    "tetgen:ref",
    "avsucd:material",
    "ugrid:ref",
    "flac3d:group",
    "cell_tags",
)
#: in meshes with fewer cells, as many values as there are cells may be materials
FEW = 8

_REGIONS = frozenset(
    "material materials mat matid mats attribute attributes attr region regions subdomain subdomains domain domains "
    "zone zones block blocks part parts phase phases layer layers grain grains body bodies medium tissue tissues "
    "entity physical geometrical label labels marker markers tag tags group groups ref pid property section "
    "object".split()
)
_OTHERS = frozenset(
    "partition partitions partitioning partitioned rank ranks proc procs process processor processors procid owner "
    "mpi thread ghost color colors colour colours coloring colouring level levels depth generation refinement flag "
    "flags parent parents quality valid visited selected selection degree order".split()
)


def _words(name: str) -> set[str]:
    parts = re.split(r"[^A-Za-z]+|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", name)
    return {p.lower() for p in parts if p}


def means_regions(name: str) -> bool:
    """Whether a name says by itself that its values tell subdomains apart.

    >>> [n for n in ("MaterialIDs", "mat_id", "processor_id", "name_to_read", "cell_id") if means_regions(n)]
    ['MaterialIDs', 'mat_id']
    """
    words = _words(name)
    return name in TAGS or bool(words & _REGIONS) and not words & _OTHERS


def needs_integers(name: str) -> bool:
    """Whether cell data of this name may tell subdomains apart, but only as integers."""
    return not means_regions(name) and not _words(name) & _OTHERS


def has_physical_groups(cell_data: Mapping[str, Iterable[NDArray]]) -> bool:
    """Whether Gmsh's groups are among the data (0: no group); where they are, its geometrical entities mean nothing."""
    return any(np.any(v) for v in cell_data.get("gmsh:physical", ()))


def check_choice(regions: str | Iterable[str] | None) -> str | tuple[str, ...] | None:
    """The argument `regions`: "auto", None, or a tuple of names.

    Raises
    ------
    ValueError
        It is none of these.
    """
    if regions is None or (isinstance(regions, str) and regions == AUTO):
        return regions
    names = (regions,) if isinstance(regions, str) else tuple(regions) if np.iterable(regions) else (regions,)
    if not all(isinstance(n, str) for n in names):
        raise ValueError(
            f"Expected `regions` to be 'auto', None, or one or more names of cell data or cell sets (got {regions!r})"
        )
    return names


def select(cells: CellMesh, regions: str | tuple[str, ...] | None = AUTO) -> CellMesh:
    """The same mesh with its cells in regions: one label for each combination of values that occurs.

    Parameters
    ----------
    cells
        A mesh whose `labels` say what may tell its subdomains apart.
    regions
        "auto": what `verdicts` finds. Names of `labels`: these and no others. None: no regions.

    Raises
    ------
    ValueError
        A name is unknown; the message lists the known ones.

    Examples
    --------
    >>> points, triangles = [[0, 0], [1, 0], [1, 1], [0, 1]], [[0, 1, 2], [0, 2, 3]]
    >>> labels = {"mat": np.array([7, 9]), "rank": np.array([0, 1])}
    >>> mesh = select(CellMesh.single(points, triangles, "triangle", labels=labels))
    >>> mesh.region_names, mesh.regions
    (('mat',), array([0, 1]))
    >>> select(mesh, None).regions is None
    True
    """
    if regions is None:
        return replace(cells, regions=None, region_names=())
    if isinstance(regions, str):
        if not cells.labels:
            return cells
        names = tuple(k for k, why in verdicts(cells).items() if not why)
    else:
        names = regions
        unknown = [n for n in names if n not in cells.labels]
        if unknown:
            known = ", ".join(map(repr, cells.labels)) or "none"
            raise ValueError(
                f"Expected `regions` to name cell data, cell sets or subdomains (got {unknown[0]!r}; the mesh has: "
                f"{known})"
            )
    return _combined(cells, names)


def _combined(cells: CellMesh, names: Iterable[str]) -> CellMesh:
    region, told = np.zeros(cells.n_cells, np.int64), []
    count = 1
    for name in names:
        values, code = np.unique(cells.labels[name], return_inverse=True)
        split = np.unique(region * len(values) + code.ravel(), return_inverse=True)[1].ravel()
        now = int(split.max(initial=-1)) + 1
        if now > count:  # names that divide no further, such as those of tags taken already, say nothing new
            told.append(name)
            region, count = split, now
    return replace(cells, regions=region if told else None, region_names=tuple(told))


def verdicts(cells: CellMesh) -> dict[str, str]:
    """For each of a mesh's `labels` why it tells no subdomains apart; "" where it does.

    Sets count always, but for Gmsh's numbers of entities, which ``skfem.Mesh.load`` takes for a set of cells. So do
    integers under a name that says so (`means_regions`), unless they are numbers of cells. Under other names integers
    count that change across few facets. Cell blocks count where nothing else does, and so do Gmsh's geometrical
    entities where there are no physical groups.
    """
    share = _Share(cells)
    out = {name: _verdict(name, np.asarray(values), share) for name, values in cells.labels.items()}
    clear = (v.dtype == bool or means_regions(k) for k, v in cells.labels.items() if k != BLOCKS)
    if BLOCKS in out and (any(clear) or any(not why for name, why in out.items() if name != BLOCKS)):
        out[BLOCKS] = "other data tell more"
    if "gmsh:geometrical" in out and has_physical_groups({k: [v] for k, v in cells.labels.items()}):
        out["gmsh:geometrical"] = "there are physical groups"
    return out


def _verdict(name: str, values: NDArray, share: _Share) -> str:
    if values.dtype == bool:
        if name == BOUNDING:
            return "they are numbers of entities, not of cells"
        return "" if len(values) and values.min() != values.max() else "all cells are alike"
    clear = means_regions(name) or name == BLOCKS
    if values.dtype.kind == "f":
        if not clear:
            return "not of integers"
        if not (np.isfinite(values).all() and (values == np.rint(values)).all()):
            return "not of integers"
    count = len(np.unique(values))
    if count < 2:
        return "all cells are alike"
    if count > max(FEW, len(values) / 2):
        return "nearly every cell has its own value"
    if clear:
        return ""
    if _words(name) & _OTHERS:
        return "its name speaks of no subdomains"
    changing = share.of(values)
    return "" if changing <= _SHARE else f"changes across {100 * changing:.0f} % of the facets"


class _Share:
    """The share of interior facets across which values change; facets are found once, and only if asked for."""

    def __init__(self, cells: CellMesh) -> None:
        self._cells = cells
        self._pairs: NDArray | None = None

    def of(self, values: NDArray) -> float:
        if self._pairs is None:
            try:
                pairs = facets_of(replace(self._cells, facets={}, regions=None)).cells
            except InvalidMeshError:  # said when the mesh is moved
                pairs = np.empty((0, 2), np.int64)
            self._pairs = pairs[pairs[:, 1] >= 0] if len(pairs) else pairs
        pairs = self._pairs
        return float((values[pairs[:, 0]] != values[pairs[:, 1]]).mean()) if len(pairs) else 0.0
