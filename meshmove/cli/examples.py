"""The examples that come with the package: which there are, and a copy to change."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import meshmove

__all__ = ["copy", "found"]


def found() -> dict[str, str]:
    """What each example shows, by its name.

    >>> found()["heat_rod"]
    'A rod that cools: a parabolic problem, solved for all times at once'
    """
    titles = {}
    for path in sorted(_folder().glob("*.py")):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        titles[path.stem] = text.partition("\n")[0].rstrip(".")
    return titles


def copy(name: str, out: Path) -> list[Path]:
    """Write an example, and the data that it reads, into a folder; nothing that is there is replaced.

    Raises
    ------
    FileExistsError
        One of the files is there already.
    """
    folder = _folder()
    script = folder / f"{name.removesuffix('.py')}.py"
    text = script.read_text(encoding="utf-8")
    data = [p for p in sorted((folder / "data").iterdir()) if p.name in text]
    wanted = [(script, out / script.name)] + [(p, out / "data" / p.name) for p in data]
    there = [str(target) for _, target in wanted if target.exists()]
    if there:
        raise FileExistsError(f"Expected files that are not there yet (got {', '.join(there)}). Try another --out")
    for source, target in wanted:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    return [target for _, target in wanted]


def _folder() -> Path:
    """In an installed package beside its modules, in a checkout beside the package."""
    package = Path(meshmove.__file__).parent
    return next(p for p in (package / "examples", package.parent / "examples") if p.is_dir())
