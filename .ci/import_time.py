"""`import meshmove` is quick, and brings in nothing that a user may not need."""

from __future__ import annotations

import subprocess
import sys
import tempfile

LIMIT = 1.5
HEAVY = ("vtkmodules", "pyvista", "matplotlib", "torch_geometric", "torch")
PROBE = """
import sys, time
start = time.perf_counter()
import meshmove
{use}
seconds = time.perf_counter() - start
print(seconds, *(m for m in {heavy} if m in sys.modules))
"""


def probe(use: str) -> tuple[float, list[str]]:
    """Seconds and heavy modules; the best of three, as the first also warms the disk."""
    code = PROBE.format(use=use, heavy=HEAVY)
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(3):
            out = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
            runs.append(out.stdout.split())
    return min(float(run[0]) for run in runs), runs[0][1:]


def main() -> int:
    failed = False
    for use in ("", "meshmove.adapt"):
        seconds, heavy = probe(use)
        bad = seconds > LIMIT or bool(heavy)
        failed |= bad
        what = f"import meshmove{'; ' + use if use else ''}"
        print(
            f"{what}: {seconds:.3f} s{', imports ' + ', '.join(heavy) if heavy else ''}{'  <- FAILED' if bad else ''}"
        )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
