"""Arguments of the commands, read and checked before the work begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from os.path import commonprefix
from pathlib import Path

import typer

from meshmove.meshes.files.formats import formats_to_write
from meshmove.optional import require
from meshmove.whole_files import unwritable

from .expressions import Expression

__all__ = [
    "boundary_modes",
    "check_folder",
    "check_output",
    "check_picture",
    "check_replaced",
    "formula_or",
    "one_file",
    "one_of",
]


def one_file(names: Sequence[str]) -> Path:
    """The one that was given.

    Raises
    ------
    ValueError
        There are several, as a shell makes of a pattern without quotation marks.
    """
    if len(names) == 1:
        return Path(names[0])
    first, last = commonprefix(list(names)), commonprefix([n[::-1] for n in names])[::-1]
    raise ValueError(
        f"Expected one file, or for a time series a pattern in quotation marks (got {len(names)} files, which a shell "
        f"puts in the place of a pattern without them). Write '{first}*{last}', with the quotation marks"
    )


def one_of(names: Sequence[str]) -> Callable[[str], str]:
    """A check of an option that has a few choices; what is none of them is bad usage, with the likeliest one told."""

    def check(word: str) -> str:
        if word not in names:
            near = [n for n in names if word and n.startswith(word)] or get_close_matches(word, names, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise typer.BadParameter(f"Expected one of {', '.join(names)} (got {word!r}{hint})")
        return word

    return check


def formula_or(names: Sequence[str]) -> Callable[[str], str]:
    """As `one_of`, or a formula."""

    def check(word: str) -> str:
        return word if Expression.like(word) else one_of([*names, "a formula of x, y, z, r"])(word)

    return check


def boundary_modes(words: list[str]) -> str | Mapping[str, str]:
    if len(words) == 1 and "=" not in words[0]:
        return words[0]
    modes = {}
    for word in words:
        name, equals, mode = word.rpartition("=")
        if not equals or not name:
            raise ValueError(f"Expected --boundary NAME=slide or NAME=fixed (got {word!r})")
        modes[name] = mode
    return modes or "slide"


def check_folder(path: Path) -> None:
    folder = path.parent
    if not folder.is_dir():
        raise ValueError(f"Expected a folder that exists for '{path}' (got '{folder}', which does not)")
    if path.is_dir():
        raise ValueError(f"Expected a file to write (got '{path}', which is a folder)")
    why_not = unwritable(folder)
    if why_not is not None:
        raise ValueError(
            f"Expected a folder that can be written for '{path}' (got '{folder}', which cannot: {why_not})"
        )


def check_output(path: Path, mesh: Path, force: bool) -> None:
    """What would make writing fail is known before the work begins, and the mesh that is read stays as it is."""
    check_folder(path)
    check_replaced(path, mesh, force)
    formats_to_write(path)


def check_replaced(path: Path, mesh: Path, force: bool) -> None:
    if not force and path.exists() and mesh.exists() and path.samefile(mesh):
        raise ValueError(f"Expected another file than the mesh itself to write to (got '{path}'); --force replaces it")


def check_picture(path: Path) -> None:
    from meshmove.plugins.figures.sheet import SUFFIXES

    require("pyvista", extra="pyvista")
    check_folder(path)
    if path.suffix.lower() not in SUFFIXES:
        *others, last = SUFFIXES
        raise ValueError(f"Expected a picture with the extension {', '.join(others)} or {last} (got '{path.name}')")
