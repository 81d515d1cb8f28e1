"""Meshes from files and to files: every format of meshio, with tags and sets, and nothing half-written."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from meshmove._groups import cell_groups, decode_sets, encode_sets, shallow_copy
from meshmove._msh import msh_variants
from meshmove.geometry.errors import InvalidMeshError, MeshmoveError
from meshmove.registry import converter_for

if TYPE_CHECKING:
    import meshio

__all__ = ["MeshFileError", "load", "save"]

_log = logging.getLogger(__name__)

# what meshio says, on the console, of a file that ends too early; it then goes on with what it has
_CUT_SHORT = ("not closed by", "could not be read to its end")
# formats whose files hold sets themselves
_WITH_SETS = ("abaqus", "flac3d")


class MeshFileError(MeshmoveError, OSError):
    """A mesh file is missing, of an unknown format, damaged, or cannot be written."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


def load(path: str | os.PathLike[str]) -> meshio.Mesh:
    """Read a mesh file of any format that meshio knows, with all data and sets.

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
    import meshio

    path = Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise MeshFileError(f"Expected a mesh file (got '{path}', which {what})")
    problems: list[str] = []
    cause: BaseException | None = None
    for file_format in _formats(path):
        mesh, said, error = None, io.StringIO(), None
        try:
            with _quiet(said):
                mesh = meshio.read(path, file_format=file_format)
                _check_complete(mesh, said.getvalue())
        # readers of damaged files end in every kind of exception, sys.exit and failed assertions among them
        except (Exception, SystemExit) as raised:
            error = raised
        if mesh is not None and error is None:
            if said.getvalue().strip():
                _log.info("meshio on %s: %s", path, " ".join(said.getvalue().split()))
            return decode_sets(mesh)
        cause = cause or error
        detail = said.getvalue() if isinstance(error, SystemExit) else f"{type(error).__name__}: {error}"
        problems.append(f"as {file_format}: {' '.join(detail.split())}")
    hint = "Is it complete, and of the format that its extension tells?"
    if "gmsh:physical" in " ".join(problems):
        hint = "Put every entity into a physical group, save without Mesh.SaveAll, or save as version 2.2"
    raise MeshFileError(f"Expected a readable mesh in '{path}' (got an error {'; '.join(problems)}). {hint}") from cause


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
    write = native or _meshio_writer(converter.to_meshio(mesh), path)
    if path.is_dir():
        raise MeshFileError(f"Expected the name of a file to write (got '{path}', which is a folder)")
    if not path.parent.is_dir():
        raise MeshFileError(f"Expected an existing folder to write to (got '{path.parent}'). Create it first")
    try:
        with _replacing(path) as temporary:
            _run(write, temporary, path)
    except OSError as error:
        if isinstance(error, MeshFileError):
            raise
        raise MeshFileError(
            f"Expected to be able to write '{path}' (got {type(error).__name__}: {error.strerror or error}). "
            "Check permissions and free space, or choose another folder"
        ) from error


def _run(write: Callable[[str], None], temporary: Path, path: Path) -> None:
    said = io.StringIO()
    try:
        with _quiet(said):
            write(str(temporary))
    except OSError:
        raise
    except (Exception, SystemExit) as error:
        raise MeshFileError(
            f"Expected the format {path.suffix!r} to hold this mesh (got {type(error).__name__}: {error}). "
            "Try .vtu, .vtk or .xdmf"
        ) from error
    if not temporary.is_file():
        raise MeshFileError(f"Expected '{path.name}' to be written (got no file). Try .vtu, .vtk or .xdmf")
    if said.getvalue().strip():
        _log.info("writing %s: %s", path, " ".join(said.getvalue().split()))


def _meshio_writer(mesh: meshio.Mesh, path: Path) -> Callable[[str], None]:
    import meshio

    file_format = _formats(path, writing=True)[0]
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
                return meshio.write(name, variant, file_format=chosen)
            except (ValueError, KeyError, IndexError):
                if i == len(attempts) - 1:
                    raise
        return None

    return write


def _formats(path: Path, writing: bool = False) -> list[str]:
    import meshio

    table = meshio.extension_to_filetypes
    name = path.name.lower()
    found = [f for ending in sorted(table, key=len, reverse=True) if name.endswith(ending) for f in table[ending]]
    if not found:
        raise MeshFileError(
            f"Expected a file name with one of the extensions {', '.join(sorted(table))} (got '{path.name}')"
        )
    # of .msh, Gmsh's format is by far the more common
    found = sorted(dict.fromkeys(found), key=lambda f: f != "gmsh")
    return found[:1] if "gmsh" in found and not writing and _is_gmsh(path) else found


def _is_gmsh(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(11) == b"$MeshFormat"


def _check_complete(mesh: meshio.Mesh, said: str) -> None:
    if any(sign in said for sign in _CUT_SHORT):
        raise InvalidMeshError("the file ends too early")
    if not len(mesh.points):
        raise InvalidMeshError("the file holds no nodes")
    for block in mesh.cells:
        nodes = None if block.type.startswith("polyhedron") else np.asarray(block.data)
        if nodes is not None and nodes.size and (nodes.min() < 0 or nodes.max() >= len(mesh.points)):
            raise InvalidMeshError(f"{block.type} cells name nodes that the file does not hold")


@contextlib.contextmanager
def _quiet(said: io.StringIO) -> Iterator[None]:
    """Collect what meshio prints; NumPy's warning about text that ends too early is an error."""
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for sign in _CUT_SHORT:
            warnings.filterwarnings("error", message=f".*{sign}.*")
        with np.errstate(all="ignore"):
            yield


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A name in a temporary folder beside `path`; what is written there takes its place at the end.

    A folder, since some formats write several files whose names depend on each other (.xdmf with .h5).
    """
    folder = Path(tempfile.mkdtemp(prefix=f".{path.stem}-", dir=path.parent))
    try:
        yield folder / path.name
        files = sorted(folder.iterdir(), key=lambda f: f.name == path.name)  # the one that names the others last
        for file in files:
            os.replace(file, path.parent / file.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
