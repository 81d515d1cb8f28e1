"""Trajectories from files: our own, and time series that other programs wrote."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from meshmove.geometry import MeshmoveError
from meshmove.geometry.given import as_list
from meshmove.meshes.files.io import MeshFileError, load
from meshmove.meshes.series.files import in_order
from meshmove.meshes.series.pvd import pvd_entries
from meshmove.meshes.series.xdmf import xdmf_frames
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
        return [file for path in as_list(paths, "paths", DatasetError) for file in found(path)]
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
    return in_order(files)


def _in_folder(folder: Path) -> list[Path]:
    """A data set's files, and what others have put beside them; looked at until no save has come between."""
    while True:
        own, ours = before = listed(folder)
        files = [f for f in folder.iterdir() if f.suffix.lower() in READERS and not f.name.startswith(".")]
        others = in_order(f for f in files if f.name not in ours and f.is_file())
        if listed(folder) == before:
            return own + others


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
    before = None
    for time, mesh in xdmf_frames(path):
        values = mesh.point_data
        if before is None or mesh.points is not before.points:
            before = mesh
        yield Frame(time, before, values, "")  # one mesh is compared with itself without looking at it


def _pvd(path: Path, fields: Sequence[str] | None) -> Trajectories:
    with _named(path, "a PVD collection of .vtu files"):
        return gathered(_pvd_frames(*pvd_entries(path)), f"'{path}'", fields)


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
        told = str(path) in str(error)
        if told and not isinstance(error, MeshFileError):
            raise
        raise DatasetError(str(error) if told else f"{error}, in '{path}'") from error
    except Exception as error:
        raise DatasetError(f"Expected {what} (got {type(error).__name__}: {error} in '{path}')") from error


READERS = {".npz": _own, ".xdmf": _xdmf, ".xmf": _xdmf, ".pvd": _pvd}
