"""The folder of a data set: a file for each group, and a manifest that names them.

The manifest is what a folder says: it is replaced when all files that it names are there, and what it named before goes
after that. So whoever reads, and whenever a save is killed, finds the old data set or the new one, whole.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

from meshmove.whole_files import locked, whole

from .trajectories import DatasetError, Trajectories

__all__ = ["MANIFEST", "is_whole", "listed", "made_once", "write_folder"]

MANIFEST = "manifest.json"
_NAME = re.compile(r"group-\d{4,}-[0-9a-f]{8}\.npz")
#: what `whole` writes to
_PART = re.compile(r"\.(.+)\.\d+-[0-9a-f]{8}\.part")


def is_whole(folder: Path) -> bool:
    """Whether a data set has been written there, to its end."""
    return (folder / MANIFEST).is_file() and bool(_manifest(folder)["files"])


def listed(folder: Path) -> tuple[list[Path], set[str]]:
    """The files that the manifest of a folder, if there is one, names as its data set; and names of all it knows.

    Raises
    ------
    DatasetError
        The manifest is damaged, or no data set was ever written to its end.
    """
    if not (folder / MANIFEST).is_file():
        return [], set()
    named = _manifest(folder)
    if not named["files"]:
        raise DatasetError(f"Expected a data set that was written to its end (got '{folder}', where that was "
                           "interrupted): save it again")  # fmt: skip
    return [folder / name for name in named["files"]], {*named["files"], *named["coming"]}


def write_folder(folder: Path, groups: Sequence[Trajectories]) -> None:
    """Write the groups in place of the data set that the folder holds; only one process at a time.

    Raises
    ------
    FileExistsError
        The folder is a file, or has files that no data set has written there.
    """
    _check_own(folder)
    with locked(folder):
        _write(folder, groups)


def made_once(folder: Path, make: Callable[[], Sequence[Trajectories]]) -> None:
    """Write what is made where nothing is written yet; who comes meanwhile waits."""
    if is_whole(folder):
        return
    with locked(folder):
        others = folder.is_dir() and not (folder / MANIFEST).is_file() and _foreign(folder)
        if not others and not is_whole(folder):  # what others have put there is to be read
            _write(folder, make())


def _write(folder: Path, groups: Sequence[Trajectories]) -> None:
    _check_own(folder)
    folder.mkdir(parents=True, exist_ok=True)
    old = _manifest(folder)
    for file in folder.iterdir():  # what saves that were killed have left, for nobody else is here
        if file.name in old["coming"] or _PART.fullmatch(file.name):
            file.unlink()
    token = secrets.token_hex(4)
    new = [f"group-{i:04d}-{token}.npz" for i in range(len(groups))]
    _say(folder, old["files"], new)
    try:
        for name, group in zip(new, groups, strict=True):
            group.save(folder / name)
    except BaseException:
        for name in new:
            (folder / name).unlink(missing_ok=True)
        _say(folder, old["files"], [])
        raise
    _say(folder, new, old["files"])
    for name in old["files"]:
        (folder / name).unlink(missing_ok=True)
    _say(folder, new, [])


def _say(folder: Path, files: Sequence[str], coming: Sequence[str]) -> None:
    """Replace the manifest: which files are the data set, and which others, coming or going, are ours."""
    with whole(folder / MANIFEST) as part:
        part.write_text(json.dumps({"layout": 1, "files": list(files), "coming": list(coming)}, indent=1))


def _manifest(folder: Path) -> dict[str, list[str]]:
    path = folder / MANIFEST
    if not path.is_file():
        return {"files": [], "coming": []}
    try:
        said = json.loads(path.read_text())
        found = {key: list(said[key]) for key in ("files", "coming")}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DatasetError(f"Expected the manifest of a data set in '{path}' (got {error!r})") from error
    strange = [name for names in found.values() for name in names if not _NAME.fullmatch(str(name))]
    if strange or said.get("layout") != 1:
        raise DatasetError(f"Expected a manifest of layout 1 with names of groups in '{path}' (got layout "
                           f"{said.get('layout')}, names {strange[:3]})")  # fmt: skip
    return found


def _check_own(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"Expected a folder of trajectories or none (got '{folder}', which is a file)")
    foreign = _foreign(folder) if folder.exists() else []
    if foreign:
        raise FileExistsError(
            f"Expected a folder of trajectories or none (got '{folder}', which holds other files, {len(foreign)}: "
            f"{', '.join(foreign[:3])}): name another folder, or move them away"
        )


def _foreign(folder: Path) -> list[str]:
    """Names of what no data set has written there."""
    named = _manifest(folder)
    ours = {MANIFEST, *named["files"], *named["coming"]}
    return sorted(f.name for f in folder.iterdir() if not _is_ours(f, ours))


def _is_ours(file: Path, ours: set[str]) -> bool:
    """Whether it is named in the manifest, or is a part that a killed save has left."""
    part = _PART.fullmatch(file.name)
    known = part is not None and (part[1] == MANIFEST or _NAME.fullmatch(part[1]) is not None)
    return (known or file.name in ours) and not file.is_dir()
