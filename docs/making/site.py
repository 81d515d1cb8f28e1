"""What the documentation is built from, written to build/docs: ``python -m docs.making.site [FOLDER]``.

The pages of docs/, and those that are made of other files: notebooks, the gallery of `examples/`, the benchmarks of
`benchmarks/results/`, and the changelog. The package is copied to build/api, as one folder, for the reference.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from docs.making import gallery, tutorials

__all__ = ["write"]

ROOT = Path(__file__).parents[2]
PACKAGE = {"meshmove": "", "geometry": "geometry", "solvers": "solvers", "plugins": "plugins"}


def write(folder: Path) -> None:
    """Write `folder`/build/docs and `folder`/build/api, and what mkdocs.yml reads beside them."""
    pages, api = folder / "build" / "docs", folder / "build" / "api"
    for old in (pages, api):
        shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(ROOT / "docs", pages, ignore=shutil.ignore_patterns("*.py", "making", "__pycache__"))
    for source, target in PACKAGE.items():
        ignored = shutil.ignore_patterns("weights", "*.msh", "__pycache__")
        shutil.copytree(ROOT / source, api / "meshmove" / target, ignore=ignored, dirs_exist_ok=True)
    shutil.copyfile(Path(__file__).with_name("docstrings.py"), folder / "build" / "docstrings.py")
    (pages / "gallery").mkdir(exist_ok=True)
    gallery.write_pages(pages / "gallery")
    tutorials.write_pages(pages / "tutorials")
    (pages / "benchmarks.md").write_text(benchmarks(), encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    (pages / "changelog.md").write_text(changelog.replace("](docs/", "]("), encoding="utf-8")


def benchmarks() -> str:
    """A table for each record of each processor."""
    parts = [
        "# Benchmarks\n\nEvery table is what one command measured, and recorded in `benchmarks/results/` with "
        "`--record`. This page is made from these files; targets, and which are not met, stand beside the numbers.\n"
    ]
    for file in sorted((ROOT / "benchmarks" / "results").glob("*.json")):
        for name, record in sorted(json.loads(file.read_text()).items()):
            parts.append(_record(name, record, file.stem))
    return "\n".join(parts)


def _record(name: str, record: dict[str, Any], processor: str) -> str:
    machine = record["machine"]
    command = name if name.startswith(("bash ", "python ")) else f"python -m {name}"
    columns = list(dict.fromkeys(column for row in record["rows"] for column in row))
    columns.sort(key=lambda column: (column not in ("name", "case"), column in ("target", "met")))
    lines = [" | ".join(columns), " | ".join("---" for _ in columns)]
    lines += [" | ".join(_cell(row.get(column, "")) for column in columns) for row in record["rows"]]
    head = f"## {name.removeprefix('benchmarks.')}\n\n`{command}`, {record['day']}, commit {record['commit']}, "
    head += f"{processor}, {machine['cores']} cores, {machine['threads']} thread, Python {machine['python']}.\n\n"
    return head + "\n".join(f"| {line} |" for line in lines) + "\n"


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    return re.sub(r"\s*\|\s*", "; ", text)


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT)
