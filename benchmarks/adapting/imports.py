"""How long `import meshmove` takes, in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.harness import Rows, main, row, timed

HEAVY = ("vtk", "vtkmodules", "pyvista", "matplotlib", "torch_geometric")


def _fresh(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def run(quick: bool = False) -> Rows:
    """Seconds beyond those of an empty interpreter, and what is imported that should not be."""
    repeats = 3 if quick else 7
    _fresh("import meshmove; meshmove.adapt")
    empty, _ = timed(lambda: _fresh("pass"), repeats)
    rows = []
    for code in ("import meshmove", "import meshmove; meshmove.adapt"):
        seconds, _ = timed(lambda code=code: _fresh(code), repeats)
        rows.append(row(code, seconds - empty, "<= 1.5 s", seconds - empty <= 1.5))
    check = f"import sys, meshmove; meshmove.adapt; print([m for m in {HEAVY!r} if m in sys.modules])"
    found = _fresh(check).strip()
    rows.append(row("heavy modules imported", found, "[]", found == "[]"))
    return rows


if __name__ == "__main__":
    main(run)
