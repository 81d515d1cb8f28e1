"""Time series of meshes: PVD collections, XDMF files with a temporal collection, and files of one mesh each."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from meshmove.meshes.files.formats import MeshFileError
from meshmove.meshes.files.io import load

from .pvd import pvd_entries, pvd_times, write_pvd
from .xdmf import is_temporal, write_xdmf, xdmf_frames

if TYPE_CHECKING:
    import meshio

__all__ = ["KINDS", "Moment", "Series", "in_order", "is_series", "read_series", "write_series"]

#: suffixes of files that hold a whole series
KINDS = (".pvd", ".xdmf", ".xmf")
_WILD = re.compile(r"[*?\[]")


class Moment(NamedTuple):
    """A mesh, with its data, at a time, and how messages call it."""

    time: float
    mesh: meshio.Mesh
    name: str


@dataclass(frozen=True, eq=False)
class Series:
    """A time series in files; frames are read one after the other whenever it is iterated over.

    `files`: of a collection or a pattern, one a frame; none of an XDMF file, which holds all frames.
    """

    path: Path
    times: tuple[float, ...]
    files: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self.times)

    def __iter__(self) -> Iterator[Moment]:
        """Raises `MeshFileError` for a frame that cannot be read."""
        if not self.files:
            for k, (time, mesh) in enumerate(_readable(self.path)):
                yield Moment(time, mesh, f"frame {k} of '{self.path}'")
        for k, (time, file) in enumerate(zip(self.times, self.files, strict=False)):
            yield Moment(time, load(file), f"frame {k} ('{file.name}') of '{self.path}'")


def is_series(path: str | os.PathLike[str]) -> bool:
    """Whether a path stands for several frames: a .pvd or .xdmf file with several times, or a pattern with ``*``.

    >>> is_series("run_*.vtu"), is_series("run.vtu")
    (True, False)
    """
    path = Path(path)
    if _WILD.search(path.name):
        return True
    if path.suffix.lower() not in KINDS or not path.is_file():
        return False
    return pvd_times(path) > 1 if path.suffix.lower() == ".pvd" else is_temporal(path)


def read_series(path: str | os.PathLike[str]) -> Series:
    """The frames of a series, in the order of their times.

    Parameters
    ----------
    path
        A .pvd collection, an .xdmf file with a temporal collection, or a pattern such as ``"run_*.vtu"``, whose files
        are taken in the order of the numbers in their names, at the times 0, 1, 2, ...

    Raises
    ------
    MeshFileError
        There is no such file, it is no series, or its times do not increase.
    """
    path = Path(path)
    if _WILD.search(path.name):
        files = in_order(f for f in path.parent.glob(path.name) if f.is_file())
        if not files:
            raise MeshFileError(f"Expected files that a pattern stands for (got '{path}': no such file)")
        return Series(path, tuple(map(float, range(len(files)))), tuple(files))
    if not path.is_file():
        raise MeshFileError(f"Expected a file of a time series (got '{path}', which does not exist)")
    try:
        if path.suffix.lower() == ".pvd":
            times, files = pvd_entries(path)
            series = Series(path, tuple(times), tuple(files))
        else:
            series = Series(path, tuple(time for time, _ in xdmf_frames(path, values=False)))
    except MeshFileError:
        raise
    except Exception as why:  # readers of damaged files end in every kind of exception
        raise _unreadable(path, why) from why
    if not len(series):
        raise MeshFileError(f"Expected a time series with frames (got none in '{path}')")
    falling = np.flatnonzero(np.diff(series.times) <= 0)
    if len(falling):
        k = int(falling[0])
        raise MeshFileError(
            f"Expected times that increase (got {series.times[k + 1]:g} after {series.times[k]:g}, at frame {k + 1} of "
            f"'{path}'). Merge the parts of a parallel run first"
        )
    return series


def _readable(path: Path) -> Iterator[tuple[float, Any]]:
    frames = xdmf_frames(path)
    while True:
        try:
            frame = next(frames, None)
        except Exception as why:
            raise _unreadable(path, why) from why
        if frame is None:
            return
        yield frame


def _unreadable(path: Path, why: Exception) -> MeshFileError:
    kind = "a PVD collection" if path.suffix.lower() == ".pvd" else "an XDMF file with a temporal collection of grids"
    return MeshFileError(f"Expected {kind} in '{path}' (got {type(why).__name__}: {why})")


def write_series(path: str | os.PathLike[str], frames: Iterable[tuple[float, meshio.Mesh]]) -> Path:
    """Write times and meshes, each with its own nodes and data: whole or not at all.

    Parameters
    ----------
    path
        .pvd: a collection, beside a folder of that name with a .vtu file for each frame; .xdmf: with an .h5 file, in
        which cells that do not change are kept once.

    Raises
    ------
    MeshFileError
        Another suffix, or the folder may not be written.
    """
    path = Path(path)
    if path.suffix.lower() not in KINDS:
        raise MeshFileError(f"Expected a {', '.join(KINDS[:-1])} or {KINDS[-1]} file (got '{path.name}')")
    try:
        (write_pvd if path.suffix.lower() == ".pvd" else write_xdmf)(path, frames)
    except OSError as why:
        if isinstance(why, MeshFileError):
            raise
        raise MeshFileError(
            f"Expected to be able to write '{path}' (got {type(why).__name__}: {why.strerror or why}). "
            "Check permissions and free space, or choose another folder"
        ) from why
    return path


def in_order(files: Iterable[Path]) -> list[Path]:
    """Files sorted by name, numbers in names as numbers.

    >>> [f.name for f in in_order([Path("a10.vtu"), Path("a9.vtu")])]
    ['a9.vtu', 'a10.vtu']
    """
    return sorted(files, key=lambda f: [int(s) if s.isdigit() else s for s in re.split(r"(\d+)", str(f))])
