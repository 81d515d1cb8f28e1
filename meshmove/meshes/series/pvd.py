"""PVD collections: a file that names one .vtu file for each time, as ParaView has them."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import numpy as np

from meshmove.meshes.files.cell_sets import encode_sets
from meshmove.meshes.files.formats import MeshFileError
from meshmove.meshes.files.own_meshio import listening, writer
from meshmove.meshes.files.periodic import encode_periodic
from meshmove.whole_files import locked, whole

if TYPE_CHECKING:
    import meshio

__all__ = ["pvd_entries", "pvd_times", "write_pvd"]

#: by which a collection of ours is known: frames of others are never removed
MARK = "<!-- frames of meshmove, which go when this file is written anew -->"
HEAD = f'<?xml version="1.0"?>\n{MARK}\n<VTKFile type="Collection" version="0.1">\n  <Collection>'


def pvd_times(path: Path) -> int:
    """How many different times a collection has; none where it cannot be read."""
    try:
        return len({e.get("timestep") for e in ElementTree.parse(path).getroot().findall("Collection/DataSet")})
    except (OSError, ElementTree.ParseError):
        return 0


def pvd_entries(path: Path) -> tuple[list[float], list[Path]]:
    """Times and files of a collection.

    Raises
    ------
    MeshFileError
        Frames in several parts.
    ElementTree.ParseError, KeyError, ValueError
        The file is damaged.
    """
    entries = ElementTree.parse(path).getroot().findall("Collection/DataSet")
    times = [float(entry.attrib["timestep"]) for entry in entries]
    files = [path.parent / entry.attrib["file"] for entry in entries]
    parallel = [f.name for f in files if f.suffix.startswith(".pv")]
    if parallel or len(set(times)) < len(times):
        raise MeshFileError(
            f"Expected one .vtu file for each time (got {parallel[0] if parallel else 'several parts'} in "
            f"'{path}'); merge the parts of a parallel run first"
        )
    return times, files


def write_pvd(path: Path, frames: Iterable[tuple[float, meshio.Mesh]]) -> None:
    """A collection and its files, in a new folder of that name, with a number if there is such already.

    The collection is written last, so that it never names a file that is not there; then those of the one before go, if
    that is ours.
    """
    with locked(path):
        old = _own_frames(path)
        folder = _free(path.with_suffix(""))
        try:
            lines = _write_frames(folder, frames)
            with whole(path) as part:
                part.write_text("\n".join([HEAD, *lines, "  </Collection>", "</VTKFile>", ""]))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        _remove(old)


def _write_frames(folder: Path, frames: Iterable[tuple[float, meshio.Mesh]]) -> list[str]:
    """Files of all frames in a new folder; gives their lines in the collection."""
    folder.mkdir(parents=True)
    lines = []
    for k, (time, mesh) in enumerate(frames):
        name = f"frame{k:05d}.vtu"
        flat = encode_sets(mesh)
        encode_periodic(flat)
        flat.points = np.pad(np.asarray(mesh.points), ((0, 0), (0, 3 - mesh.points.shape[1])))
        with listening():
            writer("vtu")(str(folder / name), flat)
        file = escape(f"{folder.name}/{name}", {'"': "&quot;"})
        lines.append(f'    <DataSet timestep="{float(time)!r}" part="0" file="{file}"/>')
    return lines


def _own_frames(path: Path) -> list[Path]:
    """Files of frames that a collection of ours names."""
    try:
        text = path.read_text()
        files = [e.get("file", "") for e in ElementTree.fromstring(text).findall("Collection/DataSet")]
    except (OSError, ValueError, ElementTree.ParseError):
        return []
    ours = re.compile(re.escape(path.stem) + r"(-\d+)?/frame\d{5,}\.vtu")
    return [path.parent / f for f in files if ours.fullmatch(f)] if MARK in text else []


def _free(folder: Path) -> Path:
    """The folder, or the first one with a number behind its name that is not there."""
    names = chain([folder], (folder.with_name(f"{folder.name}-{k}") for k in count(2)))
    return next(name for name in names if not os.path.lexists(name))


def _remove(files: Sequence[Path]) -> None:
    """These files, and their folders where nothing else is in them."""
    for file in files:
        file.unlink(missing_ok=True)
    for folder in {file.parent for file in files}:
        with contextlib.suppress(OSError):
            folder.rmdir()
