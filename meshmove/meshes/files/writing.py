"""How a mesh is written through meshio: in the fullest variant that is read again, and what that one lacks."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from meshmove.geometry.errors import InvalidMeshError

from .cell_sets import cell_groups, decode_sets, encode_sets, shallow_copy
from .formats import MeshFileError, ending, formats_to_write, known_formats
from .lost import lost, piece
from .msh import msh_variants
from .names import escaped, unescaped
from .own_meshio import can_read, listening, reader, writer
from .periodic import decode_periodic, encode_periodic
from .su2 import named_markers, write_su2

if TYPE_CHECKING:
    import meshio

__all__ = ["plan", "read_by", "run"]

_log = logging.getLogger(__name__)

_NUMBER = r"[+-]?+(?:\d++\.?+\d*+|\.\d++)"
_POINT = rf"\s*+{_NUMBER}(?:\s++{_NUMBER}){{2,3}}+\s*+"
#: a TIN in possessive quantifiers
_TIN = re.compile(rf"\s*+TIN\s*+\((?:\s*+\(\s*+\({_POINT}(?:,{_POINT}){{3}}+\)\s*+\)\s*+,?+)*+\s*+\)")

Write = Callable[[str], None]

# formats whose files hold sets themselves
_WITH_SETS = ("abaqus", "flac3d")
_PICTURE = ["all but a picture of the cells: no program reads a mesh from it"]


def read_by(file_format: str, path: str) -> meshio.Mesh:
    """A file read by meshio, its sets being sets again.

    Raises
    ------
    Exception
        Of every kind: readers end so where files are damaged.
    """
    if file_format == "wkt":
        _check_tin(path)
    with listening() as said:
        mesh = reader(file_format)(path)
    if said:
        _log.info("meshio on %s: %s", path, " ".join(said))
    mesh = decode_sets(unescaped(mesh, file_format))
    decode_periodic(mesh)
    return named_markers(mesh, said) if file_format == "su2" else mesh


def _check_tin(path: str) -> None:
    """The expression by which meshio reads .wkt looks for ever where a letter is wrong; this one never goes back."""
    text = Path(path).read_text(encoding="utf-8", errors="replace")
    if not _TIN.match(text):
        raise InvalidMeshError("the file ends too early, or is no TIN of closed triangles")


def plan(mesh: meshio.Mesh, path: Path) -> tuple[Write, list[str]]:
    """A function that writes the mesh, and what its file will not hold, found by writing and reading a few cells.

    Raises
    ------
    MeshFileError
        The extension is unknown, the mesh cannot be written in this format, or what is written cannot be read.
    """
    name = formats_to_write(path)[0]
    writers = _writers(mesh, name)
    if not can_read(name):
        return partial(_first_of, writers), _PICTURE
    part = piece(mesh)
    pieces = _writers(part, name)
    problem: Exception | None = None
    with tempfile.TemporaryDirectory() as folder:
        for k, write in enumerate(pieces):
            file = Path(folder, f"piece{k}{ending(path.name)}")
            try:
                run(write, file, path)
            except OSError as error:
                if not isinstance(error, MeshFileError):  # no room for temporary files: nothing is known
                    return partial(_first_of, writers), []
                problem = problem or error
                continue
            try:
                again = read_by(name, str(file))
                _check_cells(part, again, ending(path.name))
                missing = lost(part, again, mesh)
            except Exception as error:
                problem = problem or error
                continue
            # of .msh a piece may be written otherwise than the whole
            chosen = writers if "gmsh" in known_formats(path.name) else writers[k:]
            return partial(_first_of, chosen), missing
    if isinstance(problem, MeshFileError):
        raise problem
    raise MeshFileError(
        f"Expected the format {ending(path.name)!r} to hold this mesh (what is written cannot be read again: "
        f"{type(problem).__name__}: {problem}). Try .vtu, .vtk or .xdmf"
    ) from problem


def _check_cells(mesh: meshio.Mesh, again: meshio.Mesh, what: str) -> None:
    """A file of nodes alone, or of boundaries alone, is none of the mesh."""
    top = max((b.dim for b in mesh.cells), default=0)
    if not any(len(b) for b in again.cells if b.dim == top):
        kinds = ", ".join(sorted({b.type for b in mesh.cells if b.dim == top}))
        raise MeshFileError(
            f"Expected a format that holds the mesh's cells (got {what!r}, which has no place for {kinds}). "
            "Try .vtu, .vtk or .xdmf"
        )


def run(write: Write, temporary: Path, path: Path) -> None:
    """Write a file.

    Raises
    ------
    MeshFileError
        The format cannot hold the mesh, or its writer needs a package that is not installed.
    OSError
        As the system says.
    """
    what = repr(ending(path.name))
    try:
        with listening() as said:
            write(str(temporary))
    except OSError:
        raise
    except ModuleNotFoundError as error:
        raise MeshFileError(
            f"Expected the package that writes {what} files (got: {error}). Try: pip install {error.name}, "
            "or save as .vtu, .vtk or .xdmf"
        ) from error
    except Exception as error:  # writers meet what they did not expect in every kind of exception
        raise MeshFileError(
            f"Expected the format {what} to hold this mesh (got {type(error).__name__}: {error}). "
            "Try .vtu, .vtk or .xdmf"
        ) from error
    if not temporary.is_file():
        raise MeshFileError(f"Expected '{path.name}' to be written (got no file). Try .vtu, .vtk or .xdmf")
    if said:
        _log.info("writing %s: %s", path, " ".join(said))


def _first_of(writers: list[Write], name: str) -> None:
    for k, write in enumerate(writers):
        try:
            with listening():
                return write(name)
        except (OSError, ModuleNotFoundError):
            raise
        except Exception:  # meshio raises anything at data that a format cannot hold: the next one writes less
            if k == len(writers) - 1:
                raise
    return None


def _writers(mesh: meshio.Mesh, name: str) -> list[Write]:
    """Ways to write a mesh, the fullest first."""
    if name == "su2":  # meshio's own cannot write the markers that its reader makes
        return [partial(write_su2, mesh=mesh)]
    return [partial(_write, variant, chosen) for variant, chosen in _variants(mesh, name)]


def _write(mesh: meshio.Mesh, file_format: str, name: str) -> None:
    writer(file_format)(name, escaped(mesh, file_format))


def _variants(mesh: meshio.Mesh, name: str) -> list[tuple[meshio.Mesh, str]]:
    if name in ("gmsh", "ansys"):
        return msh_variants(mesh)
    full = encode_sets(mesh)
    if name in _WITH_SETS:
        full = shallow_copy(mesh)
        groups = {k: v for k, v in cell_groups(mesh).items() if not k.isdigit()}
        full.cell_sets = {k: [np.empty(0, int) if m is None else m for m in v] for k, v in groups.items()}
    encode_periodic(full)
    without_sets, bare = shallow_copy(mesh), shallow_copy(mesh)
    without_sets.cell_sets, without_sets.point_sets = {}, {}
    points_only = shallow_copy(without_sets)
    points_only.cell_data = {}
    bare.point_data, bare.cell_data, bare.cell_sets, bare.point_sets, bare.field_data = {}, {}, {}, {}, {}
    return [(m, name) for m in (full, without_sets, points_only, bare)]
