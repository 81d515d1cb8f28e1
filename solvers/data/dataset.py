"""A data set: trajectories on one mesh or on several, from files, from arrays, or from the generators beside it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meshmove.geometry.given import as_list, by_name, path_of, shown

from .folder import made_once, write_folder
from .reading.arrays import from_arrays, from_meshes
from .reading.files import read_all
from .reading.frames import check_times, plain_mesh
from .reading.joining import difference, merged, step_of, with_attributes
from .summaries import range_of, spread
from .trajectories import DatasetError, Trajectories

__all__ = ["TrajectoryDataset", "cached_dataset"]

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


@dataclass(frozen=True, eq=False, repr=False)
class TrajectoryDataset(Sequence[Trajectories]):
    """Trajectories in groups, each on one mesh; a sequence of single trajectories.

    Groups may differ in mesh, in number of frames and in the first time. They agree in names of fields and attributes,
    in dimension, and in the time between frames.

    Parameters
    ----------
    groups
        In the order in which the trajectories are counted.

    Raises
    ------
    DatasetError
        There is no trajectory, a group has fewer than two frames or frames at unequal distances, or groups do not
        agree; the message names the group.

    >>> from meshmove.solvers.generators.burgers import burgers_trajectories
    >>> coarse, fine = (burgers_trajectories(n, cells=c, stride=1, frames=3) for n, c in ((2, 6), (3, 8)))
    >>> data = TrajectoryDataset((coarse, fine))
    >>> data
    TrajectoryDataset(5 trajectories on 2 meshes of 49 to 81 nodes, 2-D; 3 frames, 0.5 apart; fields: u; \
attributes: viscosity)
    >>> data[3]
    Trajectories(1 trajectories of 3 frames, 81 nodes; fields: u)
    >>> train, test = data.split(0.6, seed=1)
    >>> len(train), len(test)
    (3, 2)
    """

    groups: tuple[Trajectories, ...]

    def __post_init__(self) -> None:
        groups = as_list(self.groups, "groups of trajectories", DatasetError)
        if not all(hasattr(group, "with_attributes") for group in groups):
            raise DatasetError(f"Expected groups of Trajectories (got {shown(self.groups)})")
        object.__setattr__(self, "groups", tuple(group for group in groups if len(group)))
        if not self.groups:
            raise DatasetError("Expected at least one trajectory (got an empty data set)")
        for i, group in enumerate(self.groups):
            check_times(group.times, f"group {i}")
            unlike = difference(self.groups[0], group)
            if unlike:
                raise DatasetError(f"Expected groups that agree (got {unlike} in group {i}, unlike group 0)")

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields."""
        return tuple(self.groups[0].fields)

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the numbers that each trajectory has."""
        return tuple(self.groups[0].attributes)

    @property
    def dim(self) -> int:
        """2 or 3."""
        return self.groups[0].points.shape[1]

    @property
    def step(self) -> float:
        """Time between frames."""
        return step_of(self.groups[0])

    def without(self, *attributes: str) -> TrajectoryDataset:
        """The same without these attributes, such as what was measured from the future.

        Raises
        ------
        DatasetError
            There is no such attribute.
        """
        unknown = [name for name in attributes if name not in self.attributes]
        if unknown:
            raise DatasetError(f"Expected attributes among {list(self.attributes)} (got {unknown})")
        kept = [name for name in self.attributes if name not in attributes]
        return TrajectoryDataset(
            tuple(replace(g, attributes={name: g.attributes[name] for name in kept}) for g in self.groups)
        )

    def on(self, mesh: Any) -> TrajectoryDataset:
        """The same on another mesh of any library, see `Trajectories.on`; as a rule coarser than that of the data."""
        plain = plain_mesh(mesh)
        return TrajectoryDataset(tuple(g.on(plain) for g in self.groups))

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        return np.concatenate([[0], np.cumsum([len(group) for group in self.groups])])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @overload
    def __getitem__(self, which: int) -> Trajectories: ...
    @overload
    def __getitem__(self, which: slice | NDArray | list[int]) -> TrajectoryDataset: ...
    def __getitem__(self, which: Any) -> Trajectories | TrajectoryDataset:
        """A single trajectory, or a data set of those of a slice, of ids or of a mask, whose arrays are shared."""
        ids = np.atleast_1d(np.arange(len(self))[which])
        group = np.searchsorted(self._starts, ids, side="right") - 1
        local = ids - self._starts[group]
        ends = np.flatnonzero(np.diff(group)) + 1
        runs = zip(np.split(group, ends), np.split(local, ends), strict=True)
        taken = [self.groups[g[0]][_as_slice(i)] for g, i in runs if len(g)]
        return taken[0] if np.ndim(which) == 0 and not isinstance(which, slice) else TrajectoryDataset(tuple(taken))

    def __iter__(self) -> Iterator[Trajectories]:
        return (group[i : i + 1] for group in self.groups for i in range(len(group)))

    def __repr__(self) -> str:
        frames, nodes = [len(g.times) for g in self.groups], [len(g.points) for g in self.groups]
        meshes = "one mesh" if len(self.groups) == 1 else f"{len(self.groups)} meshes"
        end = f"; attributes: {', '.join(self.attributes)}" if self.attributes else ""
        return (
            f"TrajectoryDataset({len(self)} trajectories on {meshes} of {range_of(nodes)} nodes, {self.dim}-D; "
            f"{range_of(frames)} frames, {self.step:.6g} apart; fields: {', '.join(self.fields)}{end})"
        )

    @classmethod
    def from_files(
        cls,
        paths: Paths,
        fields: Sequence[str] | None = None,
        *,
        attributes: Mapping[str, ArrayLike] | None = None,
        progress: bool = False,
    ) -> TrajectoryDataset:
        """Read files of our own layout (.npz), XDMF time series (.xdmf, .xmf) and PVD collections (.pvd).

        The latter two hold one trajectory each. Neighbours of the same mesh and times make one group. A vector field
        is read as NAME_x, NAME_y and, in space, NAME_z.

        Parameters
        ----------
        paths
            A file, a pattern such as "runs/*.pvd", a folder, or several of them. The files of a pattern or folder are
            taken in the order of their names, run2 before run10.
        fields
            Which to read; by default all nodal fields of floating numbers.
        attributes
            Numbers for each trajectory, in the order of the files, over those in the files.
        progress
            Show a progress bar.

        Raises
        ------
        DatasetError
            A file is missing, damaged, has another mesh in one of its frames, unequal time steps or fewer than two
            frames, or does not agree with the first file. The message names file and frame.
        FieldError
            A field is missing in a frame or not finite there; the message names file and frame.

        >>> import tempfile
        >>> from meshmove.solvers.generators.burgers import burgers_trajectories
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for seed in (0, 1):
        ...         path = burgers_trajectories(2, seed=seed, cells=6, stride=1, frames=3).save(f"{folder}/{seed}.npz")
        ...     data = TrajectoryDataset.from_files(folder)
        >>> len(data), len(data.groups)
        (4, 1)
        """
        read_in = read_all(paths, fields, progress)
        return cls(with_attributes(merged(read_in), attributes or {}))

    @classmethod
    def from_arrays(
        cls,
        mesh: Any,
        times: ArrayLike,
        fields: Mapping[str, ArrayLike],
        attributes: Mapping[str, ArrayLike] | None = None,
        boundaries: Mapping[str, ArrayLike] | None = None,
    ) -> TrajectoryDataset:
        """Trajectories on one mesh from arrays.

        Parameters
        ----------
        mesh
            Of any library that `meshmove.adapt` takes, or a `CellMesh`. Of second-order meshes the vertices stay.
        times
            (n_frames,), at equal distances.
        fields
            Name -> values (n_trajectories, n_frames, n_nodes), nodes in the order of the mesh.
        attributes
            Name -> a number for each trajectory.
        boundaries
            Name -> node ids of facets (f, k); by default the named boundaries of the mesh.

        Raises
        ------
        DatasetError
            Shapes or ids do not fit, or times are not at equal distances.
        FieldError
            A field is not finite; the message names trajectory and frame.
        UnsupportedMeshError
            The mesh is of an unknown class.

        >>> import skfem
        >>> TrajectoryDataset.from_arrays(skfem.MeshTri(), [0.0, 0.1], {"u": np.zeros((3, 2, 4))})
        TrajectoryDataset(3 trajectories on one mesh of 4 nodes, 2-D; 2 frames, 0.1 apart; fields: u)
        """
        return cls((from_arrays(mesh, times, fields, by_name(attributes, "attributes", DatasetError), boundaries),))

    @classmethod
    def from_meshes(
        cls, meshes: Iterable[Any], times: Sequence[float], fields: Sequence[str] | None = None
    ) -> TrajectoryDataset:
        """One trajectory from a mesh with point data for each frame, PyVista's or meshio's say; see `from_files`.

        >>> import meshio
        >>> mesh = meshio.Mesh([[0, 0], [1, 0], [0, 1.0]], [("triangle", [[0, 1, 2]])], {"u": np.ones(3)})
        >>> TrajectoryDataset.from_meshes([mesh, mesh], [0.0, 1.0]).fields
        ('u',)
        """
        return cls((from_meshes(meshes, times, fields),))

    def split(self, share: float, seed: int = 0) -> tuple[TrajectoryDataset, TrajectoryDataset]:
        """Two parts by whole trajectories drawn at random: about `share` of them, and the rest; neither is empty.

        Raises
        ------
        DatasetError
            There is one trajectory only, or the share is not between 0 and 1.
        """
        if len(self) < 2 or not 0 < share < 1:
            raise DatasetError(
                f"Expected at least two trajectories and a share between 0 and 1 (got {len(self)} and {share})"
            )
        first = min(max(round(share * len(self)), 1), len(self) - 1)
        order = np.random.default_rng(seed).permutation(len(self))
        return self[np.sort(order[:first])], self[np.sort(order[first:])]

    def scales(self) -> dict[str, tuple[float, float]]:
        """Mean and standard deviation of each field, over all values of all trajectories.

        >>> import skfem
        >>> values = np.array([[[1.0, 1, 1, 1], [3, 3, 3, 3]]])
        >>> TrajectoryDataset.from_arrays(skfem.MeshTri(), [0, 1], {"u": values}).scales()
        {'u': (2.0, 1.0)}
        """
        return {name: spread([group.fields[name] for group in self.groups]) for name in self.fields}

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write a folder, one file for each group, and a manifest that names them; `from_files(folder)` reads it.

        The data set that was there is replaced: whoever reads meanwhile, and whenever this is killed, finds the old one
        or the new one, whole. Of several processes that save to a folder each waits for the one before.

        Raises
        ------
        FileExistsError
            The folder holds other files than those of a data set that was saved there; none is touched.
        """
        folder = path_of(folder, "a folder")
        write_folder(folder, self.groups)
        return folder


def cached_dataset(folder: str | os.PathLike[str], make: Callable[[], TrajectoryDataset]) -> TrajectoryDataset:
    """The data set of this folder; made and written where it is not there, as `cached` does."""
    folder = path_of(folder, "a folder")
    made_once(folder, lambda: make().groups)
    return TrajectoryDataset.from_files(folder)


def _as_slice(ids: NDArray[np.int64]) -> slice | NDArray[np.int64]:
    """Neighbours as a slice, which copies nothing."""
    return slice(int(ids[0]), int(ids[-1]) + 1) if (np.diff(ids) == 1).all() else ids
