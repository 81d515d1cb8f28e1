"""Meshes from files and to files: every format of meshio, with tags and sets, and nothing half-written."""

from __future__ import annotations

import importlib.util
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from meshmove._advice import advice, beginning
from meshmove._groups import cell_groups, decode_sets, encode_sets, shallow_copy
from meshmove._lost import lost, piece
from meshmove._meshio import extensions, listening, reader, writer
from meshmove._msh import msh_variants
from meshmove._replacing import replacing
from meshmove._su2 import named_markers, write_su2
from meshmove.geometry.errors import InvalidMeshError, MeshmoveError
from meshmove.registry import converter_for, named

if TYPE_CHECKING:
    import meshio

__all__ = ["MeshFileError", "MeshFileWarning", "load", "save"]

_log = logging.getLogger(__name__)

# libraries whose converter has a `reader`, for files that meshio does not read
_LIBRARIES = ("pyvista",)
# formats whose files hold sets themselves
_WITH_SETS = ("abaqus", "flac3d")


class MeshFileError(MeshmoveError, OSError):
    """A mesh file is missing, of an unknown format, damaged, or cannot be written."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


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
    meshmove.io.MeshFileError: Expected a mesh file (got 'nowhere.msh', which does not exist)
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise MeshFileError(f"Expected a mesh file (got '{path}', which {what})")
    problems: dict[str, Exception] = {}
    for name, read in _readers(path):
        try:
            with listening() as said:
                mesh = read(path)
                _check_complete(mesh)
            if said:
                _log.info("meshio on %s: %s", path, " ".join(said))
            return named_markers(decode_sets(mesh), said) if name == "su2" else decode_sets(mesh)
        except Exception as error:  # readers of damaged files end in every kind of exception
            problems[name] = error
    errors = list(problems.values())
    told = "; ".join(f"as {n}: {type(e).__name__}: {' '.join(str(e).split())}" for n, e in problems.items())
    raise MeshFileError(
        f"Expected a readable mesh in '{path}' (got an error {told}). {advice(path, errors)}"
    ) from errors[0]


def _readers(path: Path) -> Iterator[tuple[str, Callable[[Path], meshio.Mesh]]]:
    """meshio's readers for the extension, then those of other libraries."""
    formats = _known_formats(path.name)
    others = list(_other_readers(path))
    if not formats and not others:
        raise _unknown(path)
    if "gmsh" in formats and beginning(path).startswith(b"$MeshFormat"):
        formats = ["gmsh"]
    # the second part of an .xdmf is named relative to the first
    real = Path(os.path.realpath(path))
    for name in formats:
        where = real if name == "xdmf" else path
        yield name, lambda _, name=name, where=where: reader(name)(str(where))
    yield from others


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
    path = Path(path)
    converter = converter_for(mesh)
    native = getattr(converter, "writer", lambda *_: None)(mesh, path.suffix.lower())
    plain = None if native else converter.to_meshio(mesh)
    write = native or _meshio_writer(plain, path)
    if path.is_dir():
        raise MeshFileError(f"Expected the name of a file to write (got '{path}', which is a folder)")
    if not path.parent.is_dir():
        raise MeshFileError(f"Expected an existing folder to write to (got '{path.parent}'). Create it first")
    try:
        with replacing(path) as temporary:
            _run(write, temporary, path)
    except OSError as error:
        if isinstance(error, MeshFileError):
            raise
        raise MeshFileError(
            f"Expected to be able to write '{path}' (got {type(error).__name__}: {error.strerror or error}). "
            "Check permissions and free space, or choose another folder"
        ) from error
    missing = [] if plain is None else _missing(plain, path)
    if missing:
        warnings.warn(
            f"'{path.name}' does not hold all of the mesh: {path.suffix} keeps no {', no '.join(missing)}. "
            "Save it as .vtu, .vtk or .xdmf as well, which do",
            MeshFileWarning,
            stacklevel=2,
        )


def _missing(mesh: meshio.Mesh, path: Path) -> list[str]:
    """What the format does not keep, found on a few cells of the mesh."""
    part = piece(mesh)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"piece{''.join(path.suffixes[-2:])}")
        try:
            _run(_meshio_writer(part, file), file, file)
            return lost(part, load(file))
        except (MeshmoveError, OSError) as error:
            _log.info("what %s keeps of the mesh is not known: %s", path.suffix, error)
            return []


def _run(write: Callable[[str], None], temporary: Path, path: Path) -> None:
    try:
        with listening() as said:
            write(str(temporary))
    except OSError:
        raise
    except ModuleNotFoundError as error:
        raise MeshFileError(
            f"Expected the package that writes {path.suffix!r} files (got: {error}). Try: pip install {error.name}, "
            "or save as .vtu, .vtk or .xdmf"
        ) from error
    except Exception as error:
        raise MeshFileError(
            f"Expected the format {path.suffix!r} to hold this mesh (got {type(error).__name__}: {error}). "
            "Try .vtu, .vtk or .xdmf"
        ) from error
    if not temporary.is_file():
        raise MeshFileError(f"Expected '{path.name}' to be written (got no file). Try .vtu, .vtk or .xdmf")
    if said:
        _log.info("writing %s: %s", path, " ".join(said))


def _meshio_writer(mesh: meshio.Mesh, path: Path) -> Callable[[str], None]:
    file_format = _formats(path)[0]
    if file_format == "su2":
        return lambda name: write_su2(name, mesh)
    attempts = []
    if file_format in ("gmsh", "ansys"):
        attempts += msh_variants(mesh)
    elif file_format in _WITH_SETS:
        kept = shallow_copy(mesh)
        kept.cell_sets = {k: v for k, v in cell_groups(mesh).items() if not k.isdigit()}
        attempts.append((kept, file_format))
    else:
        attempts.append((encode_sets(mesh), file_format))

    def write(name: str) -> None:
        for i, (variant, chosen) in enumerate(attempts):
            try:
                return writer(chosen)(name, variant)
            except (ValueError, KeyError, IndexError):
                if i == len(attempts) - 1:
                    raise
        return None

    return write


def _formats(path: Path) -> list[str]:
    """meshio's formats for a file that is to be written."""
    found = _known_formats(path.name)
    if not found:
        raise _unknown(path)
    return found


def _known_formats(name: str) -> list[str]:
    table = extensions()
    endings = sorted((e for e in table if name.lower().endswith(e)), key=len, reverse=True)
    # of .msh, Gmsh's format is by far the more common
    return sorted(dict.fromkeys(f for e in endings for f in table[e]), key=lambda f: f != "gmsh")


def _unknown(path: Path) -> MeshFileError:
    known = ", ".join(sorted(extensions()))
    return MeshFileError(f"Expected a file name with one of the extensions {known} (got '{path.name}')")


def _check_complete(mesh: meshio.Mesh) -> None:
    if not len(mesh.points):
        raise InvalidMeshError("the file holds no nodes")
    for block in mesh.cells:
        nodes = None if block.type.startswith("polyhedron") else np.asarray(block.data)
        if nodes is not None and nodes.size and (nodes.min() < 0 or nodes.max() >= len(mesh.points)):
            raise InvalidMeshError(f"{block.type} cells name nodes that the file does not hold")
