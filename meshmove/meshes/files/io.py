"""Meshes from files and to files: every format of meshio, with tags and sets, and nothing half-written."""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from meshmove.geometry.errors import InvalidMeshError
from meshmove.meshes.registry import converter_for, named

from .advice import advice, beginning, known_kind
from .formats import MeshFileError, known_formats, unknown
from .lost import lost
from .replacing import replacing
from .writing import plan, read_by, run

if TYPE_CHECKING:
    import meshio

__all__ = ["MeshFileError", "MeshFileWarning", "load", "save"]

# libraries whose converter has a `reader`, for files that meshio does not read
_LIBRARIES = ("pyvista",)
# what libraries' own writers do not keep all of
_LOSSY = (".stl", ".ply")


class MeshFileWarning(UserWarning):
    """A file does not hold all of a mesh; the message names what it lacks."""


def load(path: str | os.PathLike[str]) -> meshio.Mesh:
    """Read a mesh file of any format that meshio knows, with all data and sets; where it fails, by PyVista.

    Nothing that the process shares is touched, so files may be read in threads.

    Parameters
    ----------
    path
        The file; its extension tells the format.

    Returns
    -------
    The mesh. Sets that `save` wrote as data ``set:NAME`` are sets again.

    Raises
    ------
    MeshFileError
        There is no such file, the extension is unknown (the message lists the known ones), or the file is damaged
        or cut short; the cause is attached. It is an `OSError`.

    Examples
    --------
    >>> load("nowhere.msh")
    Traceback (most recent call last):
    ...
    meshmove.meshes.files.io.MeshFileError: Expected a mesh file (got 'nowhere.msh', which does not exist)
    """
    path = _as_path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is no regular file" if path.exists() else "does not exist"
        raise MeshFileError(f"Expected a mesh file (got '{path}', which {what})")
    problems: dict[str, Exception] = {}
    for name, read in _readers(path):
        try:
            mesh = read(path)
            _check_complete(mesh)
            return mesh
        except Exception as error:  # readers of damaged files end in every kind of exception
            problems[name] = error
    errors = list(problems.values())
    told = "; ".join(f"as {n}: {type(e).__name__}: {' '.join(str(e).split())}" for n, e in problems.items())
    raise MeshFileError(
        f"Expected a readable mesh in '{path}' (got an error {told}). {advice(path, errors)}"
    ) from errors[0]


def _as_path(path: Any) -> Path:
    """The path, if it is one that the file system takes."""
    try:
        path = Path(os.fsdecode(path))
        os.stat(path)
    except FileNotFoundError:
        pass
    except (TypeError, ValueError, OSError) as error:
        why = error.strerror or error if isinstance(error, OSError) else error
        raise MeshFileError(f"Expected the name of a file (got {str(path)[:80]!r}: {why})") from None
    return path


def _readers(path: Path) -> Iterator[tuple[str, Callable[[Path], meshio.Mesh]]]:
    """meshio's readers for the extension, then those of other libraries."""
    formats = known_formats(path.name)
    others = list(_other_readers(path))
    if not formats and not others:
        raise unknown(path, known_kind(path))
    if "gmsh" in formats and beginning(path).startswith(b"$MeshFormat"):
        formats = ["gmsh"]
    # the second part of an .xdmf is named relative to the first
    real = Path(os.path.realpath(path))
    for name in formats:
        where = real if name == "xdmf" else path
        yield name, partial(_by_meshio, name, where)
    yield from others


def _by_meshio(name: str, where: Path, _: Path) -> meshio.Mesh:
    return read_by(name, str(where))


def _other_readers(path: Path) -> Iterator[tuple[str, Callable[[Path], meshio.Mesh]]]:
    for library in _LIBRARIES:
        if importlib.util.find_spec(library) is not None:
            read = getattr(named(library), "reader", lambda _: None)(path.suffix.lower())
            if read is not None:
                yield library, read


def save(mesh: Any, path: str | os.PathLike[str]) -> None:
    """Write a mesh of any supported class to a file.

    The file is written under another name in the same folder and renamed when complete, so a failure leaves what
    was there before. Sets go to formats without sets as data ``set:NAME``, and Gmsh's tags to ``.msh`` as tags.

    Parameters
    ----------
    mesh
        A mesh of any class that `meshmove.adapt` takes.
    path
        Where to; the extension tells the format (``.vtu``, ``.msh``, ``.xdmf``, ...).

    Raises
    ------
    MeshFileError
        The extension is unknown, the folder is missing or may not be written, or the format cannot hold the mesh.
    UnsupportedMeshError
        No converter knows the class of the mesh.

    Examples
    --------
    >>> import meshio, tempfile
    >>> mesh = meshio.Mesh(np.eye(3), [("triangle", [[0, 1, 2]])])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(mesh, f"{folder}/one.vtu")
    ...     load(f"{folder}/one.vtu").cells
    [<meshio CellBlock, type: triangle, num cells: 1, tags: []>]
    """
    path = _as_path(path)
    converter = converter_for(mesh)
    native = getattr(converter, "writer", lambda *_: None)(mesh, path.suffix.lower())
    if path.is_dir():
        raise MeshFileError(f"Expected the name of a file to write (got '{path}', which is a folder)")
    if not path.parent.is_dir():
        raise MeshFileError(f"Expected an existing folder to write to (got '{path.parent}'). Create it first")
    if native is None:
        write, missing = plan(converter.to_meshio(mesh), path)
    else:
        write, missing = native, []
    try:
        with replacing(path) as temporary:
            run(write, temporary, path)
            if native is not None and path.suffix.lower() in _LOSSY:
                missing = lost(converter.to_meshio(mesh), load(temporary))
    except OSError as error:
        if isinstance(error, MeshFileError):
            raise
        raise MeshFileError(
            f"Expected to be able to write '{path}' (got {type(error).__name__}: {error.strerror or error}). "
            "Check permissions and free space, or choose another folder"
        ) from error
    if missing:
        warnings.warn(
            f"'{path.name}' holds less than the mesh (lost: {', '.join(missing)}): the format has no place for it, or "
            "its writer none. Save the mesh as .vtu, .vtk or .xdmf as well",
            MeshFileWarning,
            stacklevel=2,
        )


def _check_complete(mesh: meshio.Mesh) -> None:
    if not len(mesh.points):
        raise InvalidMeshError("the file holds no nodes")
    for block in mesh.cells:
        nodes = None if block.type.startswith("polyhedron") else np.asarray(block.data)
        if nodes is not None and nodes.size and (nodes.min() < 0 or nodes.max() >= len(mesh.points)):
            raise InvalidMeshError(f"{block.type} cells name nodes that the file does not hold")
