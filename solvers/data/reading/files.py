"""Trajectories from files: our own, and time series that other programs wrote."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from meshmove.geometry import MeshmoveError
from meshmove.meshes.files.io import load
from meshmove.progress import progress_of
from meshmove.solvers.data.folder import listed
from meshmove.solvers.data.trajectories import DatasetError, Trajectories

from .frames import Frame, check_times, chosen, gathered
from .joining import difference

__all__ = ["found", "read", "read_all"]


def read_all(paths: Any, fields: Sequence[str] | None, progress: bool = False) -> list[Trajectories]:
    """The trajectories of all files, which must agree."""
    while True:
        files = found(paths)
        if not files:
            raise DatasetError("Expected at least one file (got an empty data set)")
        try:
            return _agreeing(files, fields, progress)
        except FileNotFoundError as error:  # a data set that was saved anew meanwhile has other files
            if found(paths) == files:
                raise DatasetError(f"Expected all files of a data set (got none at '{error.filename}')") from error


def _agreeing(files: Sequence[Path], fields: Sequence[str] | None, progress: bool) -> list[Trajectories]:
    read_in: list[Trajectories] = []
    for file in progress_of(files, "reading trajectories", progress):
        data = read(file, fields)
        unlike = difference(read_in[0], data) if read_in else None
        if unlike:
            raise DatasetError(f"Expected files that agree (got {unlike} in '{file}', unlike '{files[0]}')")
        read_in.append(data)
    return read_in


def found(paths: Any) -> list[Path]:
    """The files that a path, a pattern, a folder, or several of them, stand for; numbers in names count as numbers."""
    if not isinstance(paths, str | os.PathLike):
        return [file for path in paths for file in found(path)]
    path = Path(paths)
    if path.is_file():
        return [path]
    if path.is_dir():
        files = _in_folder(path)
        if files:
            return files
    else:
        base = Path(path.anchor) if path.anchor else Path()
        files = [f for f in base.glob(str(path.relative_to(path.anchor))) if f.is_file()]
    if not files:
        kinds = ", ".join(READERS)
        raise DatasetError(f"Expected files ({kinds}), a folder of them or a pattern (got '{paths}': no such file)")
    return _sorted(files)


def _in_folder(folder: Path) -> list[Path]:
    """A data set's files, and what others have put beside them; looked at until no save has come between."""
    while True:
        own, ours = before = listed(folder)
        files = [f for f in folder.iterdir() if f.suffix.lower() in READERS and not f.name.startswith(".")]
        others = _sorted(f for f in files if f.name not in ours and f.is_file())
        if listed(folder) == before:
            return own + others


def _sorted(files: Iterable[Path]) -> list[Path]:
    return sorted(files, key=lambda f: [int(s) if s.isdigit() else s for s in re.split(r"(\d+)", str(f))])


def read(path: Path, fields: Sequence[str] | None) -> Trajectories:
    """The trajectories of a file, all of equal time steps."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise DatasetError(f"Expected a file of one of the kinds {', '.join(READERS)} (got '{path}')")
    data = reader(path, fields)
    check_times(data.times, f"'{path}'")
    return data


def _own(path: Path, fields: Sequence[str] | None) -> Trajectories:
    data = Trajectories.load(path)
    if not len(data):
        raise DatasetError(f"Expected at least one trajectory (got none in '{path}')")
    return data if fields is None else data.with_fields(chosen(dict(data.fields), fields, f"'{path}'"))


def _xdmf(path: Path, fields: Sequence[str] | None) -> Trajectories:
    with _named(path, "an XDMF file with a temporal collection of grids"):
        return gathered(_xdmf_frames(path), f"'{path}'", fields)


def _xdmf_frames(path: Path) -> Iterator[Frame]:
    import meshio
    from meshio.xdmf import TimeSeriesReader

    with TimeSeriesReader(path) as reader:
        # some programs write a collection for each field
        series = [list(g) for g in reader.domain if g.get("GridType") == "Collection"]
        if len({len(grids) for grids in series}) > 1:
            raise DatasetError(f"Expected as many frames of each field (got {[len(g) for g in series]} in '{path}')")
        points, cells = reader.read_points_cells()
        mesh, reference = meshio.Mesh(points, cells), _source(reader.mesh_grid)
        for k in range(reader.num_steps):
            time, values = 0.0, {}
            for grids in series:
                reader.collection = grids
                source = _source(grids[k])
                if source and source != reference:  # a mesh of its own, which the reader would not look at
                    reader.mesh_grid, reference = grids[k], source
                    mesh = meshio.Mesh(*reader.read_points_cells())
                time, data, _ = reader.read_data(k)
                values.update(data)
            yield Frame(time, mesh, values, "")


def _source(grid: Any) -> tuple[str, ...]:
    """Where a grid's topology and geometry come from; nothing where it refers to another grid's."""
    items = [item for part in grid if part.tag in ("Topology", "Geometry") for item in part]
    return tuple((item.text or "").strip() for item in items)


def _pvd(path: Path, fields: Sequence[str] | None) -> Trajectories:
    with _named(path, "a PVD collection of .vtu files"):
        entries = ElementTree.parse(path).getroot().findall("Collection/DataSet")
        times = [float(entry.attrib["timestep"]) for entry in entries]
        files = [path.parent / entry.attrib["file"] for entry in entries]
        parallel = [f.name for f in files if f.suffix.startswith(".pv")]
        if parallel or len(set(times)) < len(times):
            raise DatasetError(
                f"Expected one .vtu file for each time (got {parallel[0] if parallel else 'several parts'} in "
                f"'{path}'); merge the parts of a parallel run first"
            )
        return gathered(_pvd_frames(times, files), f"'{path}'", fields)


def _pvd_frames(times: list[float], files: list[Path]) -> Iterator[Frame]:
    for time, file in zip(times, files, strict=True):
        mesh = load(file)
        yield Frame(time, mesh, mesh.point_data, f" ('{file.name}')")


@contextlib.contextmanager
def _named(path: Path, what: str) -> Iterator[None]:
    """Errors of the readers below, whose kinds are many, as ours; ours with the file's name pass."""
    try:
        yield
    except MeshmoveError as error:
        if str(path) in str(error):
            raise
        raise DatasetError(f"{error}, in '{path}'") from error
    except Exception as error:
        raise DatasetError(f"Expected {what} (got {type(error).__name__}: {error} in '{path}')") from error


READERS = {".npz": _own, ".xdmf": _xdmf, ".xmf": _xdmf, ".pvd": _pvd}
