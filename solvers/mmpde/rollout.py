"""A rollout: frames that are computed when they are asked for, and how to keep, write and show them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import meshio
import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array
from meshmove.geometry.given import path_of
from meshmove.meshes.registry import named
from meshmove.meshes.series.pvd import write_pvd
from meshmove.meshes.source import Source
from meshmove.notebook import table
from meshmove.solvers.data import Trajectories

from .observation import Observation

__all__ = ["Frame", "Trajectory", "TrajectoryReport"]

Frames = Callable[..., Iterator["Frame"]]  # of the mesh, the start, the attributes and the number of steps


@dataclass(frozen=True, eq=False)
class Frame:
    """The fields at one time: `values` (n, F) at the vertices of the mesh, and `there` at the moved nodes, for a model
    that evolves them there."""

    time: float
    values: Array
    where: Array | Callable[[Array], Array] = field(repr=False)
    there: Array | None = field(default=None, repr=False)

    @cached_property
    def moved(self) -> Array:
        """Positions (n, d) of the nodes of the moved mesh: that on which the fields evolve, for a model with two
        branches. One branch needs none: then it is made for this frame, when it is first asked for, from the one
        that was made before it."""
        return self.where(self.values) if callable(self.where) else self.where

    def on_moved(self, mesh: CellMesh) -> Array:
        """Values (n, F) at the moved nodes: those that evolve there, or else the ones on `mesh`, linear on its
        simplices."""
        return interpolated(mesh, self.values, self.moved) if self.there is None else self.there


@dataclass(frozen=True)
class TrajectoryReport:
    """How far a rollout can be trusted, as far as its statement tells: `warnings` about what lies outside training."""

    frames: int
    fields: tuple[str, ...]
    step: float
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        rows = self.rows()
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)

    def _repr_html_(self) -> str:
        return table(self.rows())

    def rows(self) -> list[tuple[str, str]]:
        """What there is to say, by name."""
        rows = [("frames", f"{self.frames}, {self.step:g} apart"), ("fields", ", ".join(self.fields))]
        return rows + [("warning", w) for w in self.warnings]


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The frames of a rollout, the first of which is its start; computed anew whenever it is iterated over.

    Iterating costs the memory of one bundle. `collected` keeps all frames.
    """

    source: Source = field(repr=False)
    fields: tuple[str, ...]
    step: float
    steps: int
    frames: Frames = field(repr=False)
    start: Array = field(repr=False)
    attributes: Sequence[float]
    warnings: Sequence[str] = ()
    #: measurements by which it is corrected, and boundaries on which they correct nothing
    observations: tuple[Observation, ...] = ()
    hold: tuple[str, ...] = ()

    def __len__(self) -> int:
        return self.steps + 1

    def __iter__(self) -> Iterator[Frame]:
        corrected = {"observations": self.observations, "hold": self.hold} if self.observations else {}
        return self.frames(self.source.cells, self.start, self.attributes, self.steps, **corrected)

    @property
    def mesh(self) -> Any:
        """The mesh as it was given."""
        return self.source.mesh

    @property
    def report(self) -> TrajectoryReport:
        return TrajectoryReport(len(self), self.fields, self.step, tuple(self.warnings))

    def _repr_html_(self) -> str:
        return table(self.report.rows(), caption=f"rollout on {self.source.cells.n_points:,} vertices")

    def last(self) -> Frame:
        """The last frame, without keeping the others."""
        return deque(self, maxlen=1)[0]

    def collected(self) -> Trajectories:
        """All frames as one trajectory of a data set; positions of the moved nodes, which takes longest, as fields
        "moved_x", "moved_y"..., and what evolves there as "NAME_moved"."""
        frames = list(self)
        values, moved = (np.stack([getattr(f, name) for f in frames]) for name in ("values", "moved"))
        fields = {name: values[None, :, :, k] for k, name in enumerate(self.fields)}
        fields |= {f"moved_{axis}": moved[None, :, :, k] for k, axis in enumerate("xyz"[: moved.shape[2]])}
        if frames[0].there is not None:
            there = np.stack([f.on_moved(self.source.cells) for f in frames])
            fields |= {f"{name}_moved": there[None, :, :, k] for k, name in enumerate(self.fields)}
        cells = self.source.cells
        blocks = {b.kind.name: b.nodes for b in cells.blocks}
        return Trajectories(
            cells.points, blocks, np.array([f.time for f in frames]), fields, dict(cells.facets), {}, {"by": "MMPDE"}
        )

    def to_pyvista(self, moved: bool = False) -> Any:
        """A `pyvista.MultiBlock` with a grid for each frame, on the mesh or on the moved meshes.

        Point data are the fields and the displacement of the moved nodes. On moved meshes the fields are those that a
        model with two branches evolves there; one branch has no such, and its fields are carried there linearly.
        """
        pictures: Any = named("pyvista")
        grids = {}
        for frame in self:
            grid = pictures.made_of(self.source.cells)
            for name, values in self._point_data(frame, moved).items():
                grid.point_data[name] = values
            if moved:
                grid.points = _in_space(frame.moved)
            grids[f"t = {frame.time:g}"] = grid
        return pictures.collection(grids)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a .pvd collection with a .vtu file for each frame, for ParaView and PyVista; or all as our own .npz.

        The point data "displacement" are for ParaView's filter "Warp by vector", which shows the moved mesh, and
        "NAME_moved" what evolves there.
        The files stand in a new folder of that name, with a number if there is such already. The collection is written
        last, so that it never names a file that is not there; then those of the one before go, if that is ours.

        Raises
        ------
        ValueError
            Another suffix.
        """
        path = path_of(path, "a .pvd or .npz file")
        if path.suffix == ".npz":
            return self.collected().save(path)
        if path.suffix != ".pvd":
            raise ValueError(f"Expected a .pvd or .npz file (got {path.name!r})")
        cells = self.source.cells
        blocks = [(b.kind.name, b.nodes) for b in cells.blocks]
        write_pvd(path, ((f.time, meshio.Mesh(cells.points, blocks, self._point_data(f, False))) for f in self))
        return path

    def animate(self, path: str | os.PathLike[str], **options: Any) -> Path:
        """A GIF or MP4 of the field and the moving mesh; see `meshmove.plugins.animate`."""
        pictures: Any = named("pyvista")
        return pictures.animate(self, path, **options)

    def _point_data(self, frame: Frame, moved: bool) -> dict[str, NDArray]:
        cells = self.source.cells
        values = frame.on_moved(cells) if moved else frame.values
        data = {name: values[:, k] for k, name in enumerate(self.fields)}
        if frame.there is not None and not moved:
            data |= {f"{name}_moved": frame.there[:, k] for k, name in enumerate(self.fields)}
        return {**data, "displacement": _in_space(frame.moved - cells.points)}


def interpolated(mesh: CellMesh, values: Array, points: Array) -> Array:
    """Values (n, F) of nodal fields at points (n, d) in the mesh, linear on its simplices."""
    from meshmove.geometry import PointLocator

    locator = PointLocator(mesh.simplicial())
    return locator.interpolate(values, points.T)


def _in_space(points: Array) -> Array:
    return np.pad(points, ((0, 0), (0, 3 - points.shape[1])))
