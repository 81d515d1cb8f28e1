"""Files written whole or not at all, in the place of what was there and of nothing else."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["replacing"]


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name in a temporary folder beside `path`; what is written there takes its place at the end.

    A folder, since some formats write several files that name each other (.xdmf with .h5). A symbolic link stays one,
    and a file keeps its mode. Further files never take the place of another's: `path` itself must have been there,
    with its name in it (.xdmf) or without a choice of names (.node with .ele).

    Raises
    ------
    FileExistsError
        A further file would take the place of one that does not belong to `path`.
    """
    target = Path(os.path.realpath(path))
    folder = Path(tempfile.mkdtemp(prefix=f".{path.stem}-", dir=target.parent))
    try:
        written = folder / (_free_stem(target, path.suffix) + path.suffix)
        yield written
        further = [f for f in sorted(folder.iterdir()) if f != written]
        for file in further:
            _check_own(target.parent / file.name, target)
        for file in [*further, written]:  # the one that names the others last
            place = target if file == written else target.parent / file.name
            if place.exists():
                shutil.copymode(place, file)
            os.replace(file, place)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _free_stem(target: Path, suffix: str) -> str:
    """The stem to write under: with .xdmf one whose .h5 is its own, or is not there yet."""
    if suffix.lower() not in (".xdmf", ".xmf"):
        return target.stem
    stem, k = target.stem, 0
    while (target.parent / f"{stem}.h5").exists() and not _names(target, f"{stem}.h5"):
        k += 1
        stem = f"{target.stem}_{k}"
    return stem


def _names(target: Path, name: str) -> bool:
    return target.is_file() and f"{name}:".encode() in target.read_bytes()


def _check_own(place: Path, target: Path) -> None:
    if place.exists() and not target.exists():
        raise FileExistsError(
            17, f"'{place.name}' is there already and would be replaced. Choose another name, or remove it", str(place)
        )
