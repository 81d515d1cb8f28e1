"""Trajectories of nodal fields on one mesh, and their file: what the neural time stepper learns from.

The file is an uncompressed npz with one array for each entry, so that any tool that writes NumPy's format can fill it:

==================== =============================== =========================================================
entry                shape                           what
==================== =============================== =========================================================
``points``           (n_nodes, dim)                  coordinates, float64
``cells/KIND``       (m, v)                          node ids of the cells of a meshio kind, in VTK order
``times``            (n_frames,)                     the same for all trajectories
``fields/NAME``      (n_trajectories, n_frames, n)   nodal values, float32 or float64
``boundaries/NAME``  (f, k)                          node ids of the facets of a named boundary, rows filled up with -1
``attributes/NAME``  (n_trajectories,)               a number for each trajectory, such as a Reynolds number
``about``            ()                              a JSON object: how the data were made, and ``layout``, 1
==================== =============================== =========================================================
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellBlock, CellMesh, FieldError, PointLocator, kind_of
from meshmove.geometry.given import as_numbers, by_name, count, path_of, real, shown
from meshmove.geometry.given import names as names_of
from meshmove.whole_files import locked, whole

from .entries import DatasetError, check, node_ids, numbers
from .npz import read_npz
from .side_names import named_sides

__all__ = ["DatasetError", "Trajectories", "cached"]

LAYOUT = 1
_GROUPS = ("cells", "fields", "boundaries", "attributes")


@dataclass(frozen=True, eq=False)
class Trajectories:
    """Nodal fields over time on one mesh; the entries are those of the file, see the module.

    `finer`: what these are the values of at the nodes of a coarser mesh, see `on`; it is not written.

    Raises
    ------
    DatasetError
        Shapes do not fit each other, cells name nodes that are not there, or times do not increase.
    FieldError
        A field has values that are not finite; the message names trajectory and frame.

    >>> data = Trajectories([[0, 0], [1, 0], [0, 1]], {"triangle": [[0, 1, 2]]}, [0.0, 1.0], {"u": np.ones((4, 2, 3))})
    >>> data
    Trajectories(4 trajectories of 2 frames, 3 nodes; fields: u)
    >>> data[:3].fields["u"].shape
    (3, 2, 3)
    """

    points: NDArray[np.float64]
    cells: Mapping[str, NDArray[np.int64]]
    times: NDArray[np.float64]
    fields: Mapping[str, NDArray[np.floating]]
    boundaries: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    attributes: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    finer: Trajectories | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name, value in (("points", self.points), ("times", self.times)):
            object.__setattr__(self, name, numbers(value, name))
        for name in ("cells", "boundaries"):
            given = by_name(getattr(self, name), name, DatasetError)
            object.__setattr__(self, name, {k: node_ids(v, k) for k, v in given.items()})
        fields = {k: as_numbers(v, repr(k), "real numbers", DatasetError) for k, v in _named(self, "fields")}
        fields = {k: v if v.dtype == np.float32 else numbers(v, k) for k, v in fields.items()}
        object.__setattr__(self, "fields", fields)
        object.__setattr__(self, "attributes", {k: numbers(v, k) for k, v in _named(self, "attributes")})
        check(self)

    def __len__(self) -> int:
        return len(next(iter(self.fields.values())))

    def __getitem__(self, which: slice | NDArray) -> Trajectories:
        """Some of the trajectories, by a slice, ids or a mask."""
        if not isinstance(which, slice):
            which = np.atleast_1d(which)
        some = copy.copy(self)  # what has been checked needs no second check
        for name in ("fields", "attributes"):
            object.__setattr__(some, name, {k: v[which] for k, v in getattr(self, name).items()})
        if self.finer is not None:
            object.__setattr__(some, "finer", self.finer[which])
        return some

    def with_fields(self, fields: Mapping[str, NDArray]) -> Trajectories:
        """The same with other fields, of which nothing is known but what is given."""
        return replace(self, fields=fields, finer=None)

    def with_attributes(self, attributes: Mapping[str, NDArray]) -> Trajectories:
        """The same with these attributes set, too."""
        return replace(self, attributes={**self.attributes, **attributes})

    @property
    def mesh(self) -> CellMesh:
        """The mesh as plain arrays, boundaries included."""
        blocks = tuple(CellBlock(kind_of(kind), nodes) for kind, nodes in self.cells.items())
        return CellMesh(self.points, blocks, facets=dict(self.boundaries))

    def on(self, mesh: CellMesh) -> Trajectories:
        """The values at the nodes of another mesh, as a rule a coarser one, by linear interpolation.

        A model trained on these works on that mesh, but what the fields are elsewhere is not forgotten: values at
        moved nodes are taken from `finer`. Names of boundaries that the mesh lacks are taken from the data: each of its
        facets on the boundary gets the names of the nearest one there.

        Raises
        ------
        DatasetError
            The mesh has another dimension, or nodes far outside of this one.

        >>> from meshmove.solvers.generators.burgers import burgers_trajectories
        >>> fine, coarse = (burgers_trajectories(2, cells=8, stride=k, frames=2) for k in (1, 4))
        >>> on = fine.on(coarse.mesh)
        >>> on
        Trajectories(2 trajectories of 2 frames, 9 nodes; fields: u)
        >>> bool(np.allclose(on.fields["u"], coarse.fields["u"])), on.finer is fine
        (True, True)
        """
        if mesh.dim != self.points.shape[1]:
            raise DatasetError(f"Expected a mesh in {self.points.shape[1]} dimensions (got one in {mesh.dim})")
        where = self._locator.find(mesh.points.T)
        beyond = np.linalg.norm(where.interpolate(self.points) - mesh.points, axis=1)
        ends = mesh.points[np.asarray(mesh.edges)]
        size = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1).mean()
        if beyond.max() > 0.5 * size:  # curved boundaries are cut by different chords
            raise DatasetError(
                f"Expected a mesh of the domain of the data (got {int((beyond > 0.5 * size).sum())} of {mesh.n_points} "
                f"nodes outside, node {int(beyond.argmax())} by {beyond.max():.3g}): check units and origin"
            )
        values = np.stack([self.at(mesh.points, i) for i in range(len(self))])
        fields = {name: values[..., k] for k, name in enumerate(self.fields)}
        cells = {b.kind.name: b.nodes for b in mesh.blocks}
        return replace(
            self,
            points=mesh.points,
            cells=cells,
            fields=fields,
            boundaries=named_sides(mesh, self.mesh),
            finer=self if self.finer is None else self.finer,
        )

    def at(
        self, points: NDArray, trajectory: int, frames: slice = slice(None), names: Sequence[str] | None = None
    ) -> NDArray[np.floating]:
        """Values (frames, m, F) of fields, by default of all, of a trajectory at points (m, d), from the finest mesh on
        which they are known."""
        source = self if self.finer is None else self.finer
        trajectory = count(trajectory, "the number of a trajectory", high=len(source) - 1, error=DatasetError)
        if not isinstance(frames, slice):
            raise DatasetError(f"Expected a slice of frames (got {shown(frames)})")
        chosen = tuple(self.fields) if names is None else names_of(names, "names of fields", DatasetError)
        unknown = [name for name in chosen if name not in self.fields]
        if unknown or not chosen:
            known, got = ", ".join(map(repr, self.fields)), repr(unknown[0]) if unknown else "none"
            raise DatasetError(f"Expected fields among {known} (got {got})")
        where = source._locator.find(real(points, "points", "an array of shape (m, d)", DatasetError).T)
        found = [source.fields[name][trajectory, frames][:, where.nodes] for name in chosen]
        return np.stack([np.einsum("mv,fmv->fm", where.weights.astype(v.dtype), v) for v in found], axis=2)

    @cached_property
    def _locator(self) -> PointLocator:
        return PointLocator(self.mesh.simplicial())

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the file whole or not at all: under a temporary name first, then renamed."""
        path = path_of(path, "a file to write")
        entries: dict[str, Any] = {"points": self.points, "times": self.times}
        for group in _GROUPS:
            entries.update({f"{group}/{name}": array for name, array in getattr(self, group).items()})
        entries["about"] = np.array(json.dumps({**self.about, "layout": LAYOUT}))
        with whole(path) as part, part.open("wb") as file:
            np.savez(file, **entries)
        return path

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Trajectories:
        """Read what `save` has written, or a file of the same layout.

        Raises
        ------
        DatasetError
            The file is truncated or damaged, lacks an entry, has a newer layout, arrays of Python objects or of a shape
            that is larger than what is stored, or its entries do not fit each other.
        FieldError
            A field is not finite; the message names file, field, trajectory and frame.
        FileNotFoundError
            There is no such file.
        """
        path = path_of(path, "a file of trajectories", DatasetError)
        try:
            entries = read_npz(path)
        except ValueError as error:
            raise DatasetError(f"Expected a whole npz file (got {error} in '{path}'); make it again") from error
        missing = [name for name in ("points", "times") if name not in entries]
        if missing:
            raise DatasetError(f"Expected entries points, times, fields/NAME (missing in '{path}': {missing})")
        about = _about(entries.get("about"), path)
        layout = about.pop("layout", LAYOUT)
        if layout != LAYOUT:
            raise DatasetError(f"Expected a file of layout {LAYOUT} (got {layout} in '{path}'); update meshmove")
        groups: dict[str, dict[str, NDArray]] = {group: {} for group in _GROUPS}
        for key, array in entries.items():
            group, slash, name = key.partition("/")
            if slash and group in groups:
                groups[group][name] = array
        try:
            return cls(points=entries["points"], times=entries["times"], about=about, **groups)  # type: ignore[arg-type]
        except (DatasetError, FieldError) as error:
            raise type(error)(f"{error}, in '{path}'") from error

    def __repr__(self) -> str:
        n, frames, nodes = next(iter(self.fields.values())).shape
        return f"Trajectories({n} trajectories of {frames} frames, {nodes} nodes; fields: {', '.join(self.fields)})"


def _about(entry: NDArray | None, path: Any) -> dict[str, Any]:
    try:
        about = {} if entry is None else json.loads(str(entry))
    except ValueError as error:
        raise DatasetError(f"Expected a JSON object as 'about' (got {error} in '{path}')") from error
    if not isinstance(about, dict):
        raise DatasetError(f"Expected a JSON object as 'about' (got {type(about).__name__} in '{path}')")
    return about


def _named(data: Trajectories, group: str) -> Iterable[tuple[str, Any]]:
    return by_name(getattr(data, group), group, DatasetError).items()


def cached(path: str | os.PathLike[str], make: Callable[[], Trajectories]) -> Trajectories:
    """The data of this file; made and written where it is not there, by one process while others wait for it.

    Give data of other parameters another name: the file is not compared with what `make` would make.

    >>> import tempfile
    >>> from meshmove.solvers.generators.burgers import burgers_trajectories
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for _ in range(2):  # the second time from the file
    ...         data = cached(folder + "/small.npz", lambda: burgers_trajectories(1, cells=8, stride=1, frames=2))
    >>> len(data)
    1
    """
    path = Path(path)
    if not path.is_file():
        with locked(path):
            if not path.is_file():
                make().save(path)
    return Trajectories.load(path)
