"""Arguments of the commands, read and checked before the work begins."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from meshmove.meshes.files.formats import formats_to_write
from meshmove.optional import require

__all__ = ["boundary_modes", "check_folder", "check_output", "check_picture"]


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
    if not os.access(folder, os.W_OK):
        raise ValueError(f"Expected a folder that can be written for '{path}' (got '{folder}', which cannot)")


def check_output(path: Path) -> None:
    """What would make writing fail is known before the work begins."""
    check_folder(path)
    formats_to_write(path)


def check_picture(path: Path) -> None:
    require("pyvista", extra="pyvista")
    check_folder(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"Expected a picture with the extension .png (got '{path.name}')")
