"""`import meshmove` brings in nothing that a user may not need; how long it takes is printed."""

from __future__ import annotations

import subprocess
import sys
import tempfile

HEAVY = ("vtkmodules", "pyvista", "matplotlib", "torch_geometric", "torch")
PROBE = """
import sys, time
start = time.process_time()
import meshmove
{use}
seconds = time.process_time() - start
print(seconds, *(m for m in {heavy} if m in sys.modules))
"""


def probe(use: str) -> tuple[float, list[str]]:
    """Seconds of the processor and heavy modules; the best of three, as the first also warms the disk."""
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
        failed |= bool(heavy)
        what = f"import meshmove{'; ' + use if use else ''}"
        print(f"{what}: {seconds:.3f} s{', imports ' + ', '.join(heavy) + '  <- FAILED' if heavy else ''}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
