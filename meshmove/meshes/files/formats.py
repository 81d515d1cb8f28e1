"""File formats by extension, and the error of files that cannot be read or written."""

from __future__ import annotations

from pathlib import Path

from meshmove.geometry.errors import MeshmoveError

from .own_meshio import extensions

__all__ = ["MeshFileError", "ending", "formats_to_write", "known_formats", "unknown"]


class MeshFileError(MeshmoveError, OSError):
    """A mesh file is missing, of an unknown format, damaged, or cannot be written."""

    __module__ = "meshmove.meshes.files.io"  # where users find it

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


def formats_to_write(path: Path) -> list[str]:
    """meshio's formats for a file that is to be written."""
    found = known_formats(path.name)
    if not found:
        raise unknown(path)
    return found


def ending(name: str) -> str:
    return max((e for e in extensions() if name.lower().endswith(e)), key=len, default=Path(name).suffix)


def known_formats(name: str) -> list[str]:
    table = extensions()
    endings = sorted((e for e in table if name.lower().endswith(e)), key=len, reverse=True)
    # of .msh, Gmsh's format is by far the more common
    return sorted(dict.fromkeys(f for e in endings for f in table[e]), key=lambda f: f != "gmsh")


def unknown(path: Path, advice: str = "") -> MeshFileError:
    known = ", ".join(sorted(extensions()))
    return MeshFileError(
        f"Expected a file name with one of the extensions {known} (got '{path.name}'){advice and '. '}{advice}"
    )
