"""What is the matter with a file that no reader takes: told by its first bytes, and by what its reader missed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

__all__ = ["advice", "beginning", "known_kind"]

_HEAD = 4096
_PACKAGES = {"netCDF4": "netCDF4", "h5py": "h5py", "lxml": "lxml"}

#: what the first bytes look like, what that is, and what to do
_SIGNS: tuple[tuple[bytes, str], ...] = (
    (
        rb"\Aversion https://git-lfs\.github\.com/spec",
        "It is a pointer of Git LFS, not the file itself. Fetch the file: git lfs pull",
    ),
    (rb"\A\s*(<!doctype html|<html)", "It is a web page, not a mesh. Download the file itself ('raw')"),
    (rb"\A\x1f\x8b", "It is compressed. Unpack it first: gunzip"),
    (rb"\APK\x03\x04", "It is a zip archive. Unpack it first: unzip"),
    (
        rb"\A\s*\$NOD\b",
        "It is of Gmsh's version 1, which is not read. Convert it: gmsh IN -save -format msh41 -o OUT.msh",
    ),
    (
        rb"\A\s*\$MeshFormat\s+4(\.0)?\s",
        "It is of Gmsh's version 4.0, a draft. Convert it: gmsh IN -save -format msh41 -o OUT.msh",
    ),
    (rb"\A\s*\$MeshFormat\s+1", "It is of Gmsh's version 1. Convert it: gmsh IN -save -format msh41 -o OUT.msh"),
    (
        rb"(?m)^\s*NZONE\s*=\s*([2-9]|1\d)",
        "It has several zones (NZONE), and only one can be read. Write each zone to a file of its own",
    ),
    (
        rb"<VTKFile[^>]*type=\"(PolyData|StructuredGrid|RectilinearGrid|ImageData|P\w+|\w*MultiBlock\w*|Collection)\"",
        "It holds VTK data of another kind than an unstructured grid, which PyVista reads: "
        'pip install "meshmove[pyvista]", and give it the extension of its kind (.vtp, .vts, .pvd ...)',
    ),
    (
        rb"(?m)^DATASET\s+(POLYDATA|STRUCTURED_POINTS|STRUCTURED_GRID|RECTILINEAR_GRID|FIELD)",
        "It holds VTK data of another kind than an unstructured grid, which PyVista reads: "
        'pip install "meshmove[pyvista]"',
    ),
)


def beginning(path: Path) -> bytes:
    """The first bytes of a file."""
    with path.open("rb") as file:
        return file.read(_HEAD)


def known_kind(path: Path) -> str:
    """What a file is, and what to do with it, where its first bytes tell; else ""."""
    head = beginning(path)
    return next((text for sign, text in _SIGNS if re.search(sign, head, re.IGNORECASE)), "")


def advice(path: Path, errors: Sequence[BaseException]) -> str:
    """A sentence on what to do.

    Parameters
    ----------
    path
        The file.
    errors
        What its readers ended in.
    """
    kind = known_kind(path)
    if kind:
        return kind
    if not beginning(path).strip():
        return "It is empty. Is it complete?"
    missing = next((e.name for e in errors if isinstance(e, ModuleNotFoundError) and e.name), None)
    if missing:
        package = missing.partition(".")[0]
        return f"Its format needs the package {package!r}. Try: pip install {_PACKAGES.get(package, package)}"
    if any("gmsh:physical" in str(e) for e in errors):
        return "Put every entity into a physical group, save without Mesh.SaveAll, or save as version 2.2"
    return "Is it complete, and of the format that its extension tells?"
