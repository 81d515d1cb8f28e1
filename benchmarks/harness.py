"""What the benchmarks share: one thread, medians, rows with targets, a table, JSON."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
for _name in THREADS:  # before NumPy is imported
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

__all__ = ["CPU", "imbalance", "inverted", "main", "ring", "row", "square", "table", "timed"]

Array = NDArray[np.float64]
CPU = time.process_time
#: what was measured where; README's figures are made from it (`python -m benchmarks.readme`)
RESULTS = Path(__file__).parent / "results"
Rows = list[dict[str, object]]
#: as they came: benchmarks may take out their own before `main`
ARGUMENTS = tuple(sys.argv[1:])


def timed(
    call: Callable[[], Any], repeats: int = 1, clock: Callable[[], float] = time.perf_counter
) -> tuple[float, Any]:
    """Median of the seconds that a call takes, and its last result.

    With one thread `CPU` is what the wall clock says on an idle machine, and does not mind a busy one.
    """
    seconds = []
    for _ in range(repeats):
        start = clock()
        result = call()
        seconds.append(clock() - start)
    return statistics.median(seconds), result


def row(name: str, measured: object, target: object = None, met: bool | None = None, **more: object) -> dict:
    """A line of a table: what was measured, against which target, and whether it was met (None: no target)."""
    return {"name": name, "measured": measured, "target": target, "met": met, **more}


# -- measures that owe nothing to the code they judge ---------------------------------------------------------------


def _signed(p: Array, t: NDArray) -> Array:
    x, y, z = p[:, t[0]], p[:, t[1]], p[:, t[2]]
    return 0.5 * ((y[0] - x[0]) * (z[1] - x[1]) - (z[0] - x[0]) * (y[1] - x[1]))


def imbalance(p0: Array, p1: Array, t: NDArray, m: Callable[[Array], Array]) -> float:
    """Weighted deviation of monitor mass over triangles t (3, c) that moved from nodes p0 (2, n) to p1."""
    from skfem.quadrature import get_quadrature
    from skfem.refdom import RefTri

    before, after = _signed(p0, t), _signed(p1, t)
    (xi, eta), weights = get_quadrature(RefTri, 5)
    x = np.einsum("kq,dkc->dqc", [1 - xi - eta, xi, eta], p1[:, t])
    q = 2 * weights @ m(x.reshape(2, -1)).reshape(len(weights), -1) * after / before
    w = np.abs(before) / np.abs(before).sum()
    q = q / (w * q).sum()
    return float(np.sqrt((w * (q - 1) ** 2).sum()))


def inverted(p0: Array, p1: Array, t: NDArray) -> int:
    """Number of triangles whose area has not the sign that it had."""
    return int((~(_signed(p0, t) * _signed(p1, t) > 0)).sum())


def square(n: int) -> Any:
    """Uniform triangles on the unit square, n to a side."""
    import skfem

    return skfem.MeshTri.init_tensor(*[np.linspace(0, 1, n + 1)] * 2)


def ring(amplitude: float, r2: float) -> Callable[[Array], Array]:
    """1 + amplitude sech^2(200 (r^2 - r2)), r from the middle of the unit square."""
    return lambda x: (
        1 + amplitude / np.cosh(np.clip(200 * ((x[0] - 0.5) ** 2 + (x[1] - 0.5) ** 2 - r2), -300, 300)) ** 2
    )


# -- output ---------------------------------------------------------------------------------------------------------


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def table(rows: Rows) -> str:
    """Rows with the same columns under one head."""
    lines: list[str] = []
    start = 0
    while start < len(rows):
        head = list(rows[start])
        end = start
        while end < len(rows) and list(rows[end]) == head:
            end += 1
        texts = [[_shown(r[h]) for h in head] for r in rows[start:end]]
        widths = [max(len(h), *(len(t[k]) for t in texts)) for k, h in enumerate(head)]
        for cells in [head, *texts]:
            padded = [c.ljust(w) if k == 0 else c.rjust(w) for k, (c, w) in enumerate(zip(cells, widths, strict=True))]
            lines.append("  ".join(padded).rstrip())
        lines.append("")
        start = end
    return "\n".join(lines).rstrip()


def machine() -> Mapping[str, object]:
    """Where the figures come from."""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "threads": os.environ.get(THREADS[0]),
    }


def has(module: str) -> bool:
    """Whether an optional package is there."""
    return importlib.util.find_spec(module) is not None


def main(run: Callable[..., Rows], parts: Collection[str] = ()) -> None:
    """Command line of a benchmark file: ``python -m benchmarks.NAME [--quick] [--json FILE] [--record]``.

    `parts`: what ``--only PART ...`` may name, which `run` is then given after whether it is to be quick.
    """
    doc = sys.modules[run.__module__].__doc__
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--quick", action="store_true", help="smaller sizes, fewer cases")
    parser.add_argument("--json", metavar="FILE", help="write the rows to this file as well")
    parser.add_argument("--record", action="store_true", help="keep the rows in benchmarks/results, by processor")
    if parts:
        parser.add_argument("--only", metavar="PART", nargs="+", choices=parts, help=f"some of {', '.join(parts)}")
    args = parser.parse_args()
    rows = run(args.quick, args.only) if parts else run(args.quick)
    print(table(rows), flush=True)
    found = {"machine": machine(), "rows": rows}
    if args.json:
        Path(args.json).write_text(json.dumps(found, indent=1, default=str) + "\n")
    if args.record:
        record(Path(sys.modules[run.__module__].__file__ or ""), found)


def record(module: Path, found: Mapping[str, object], arguments: Sequence[str] = ARGUMENTS) -> Path:
    """Keep what a benchmark found in the file of this processor, by its command, with day and commit; what others found
    there stays."""
    file = RESULTS / f"{processor()}.json"
    known = json.loads(file.read_text()) if file.is_file() else {}
    command = called(f"benchmarks.{module.parent.name}.{module.stem}", arguments)
    known[command] = {"day": time.strftime("%Y-%m-%d"), "commit": commit(), **found}
    RESULTS.mkdir(exist_ok=True)
    file.write_text(json.dumps(known, indent=1, default=str, sort_keys=True) + "\n")
    return file


def called(module: str, arguments: Sequence[str]) -> str:
    """A benchmark's command without what says where its rows go.

    >>> called("benchmarks.adapting.fem", ["--quick", "--json", "a.json", "--record"])
    'benchmarks.adapting.fem --quick'
    """
    words = list(arguments)
    if "--json" in words:
        at = words.index("--json")
        del words[at : at + 2]
    return " ".join([module, *(w for w in words if w != "--record")])


def commit() -> str:
    """The commit that is measured, with a + where files differ from it but for records and README; "" without git."""
    here = Path(__file__).parents[1]
    try:
        head = subprocess.run(
            ["git", "rev-parse", "--short=7", "HEAD"], cwd=here, capture_output=True, text=True, check=True
        )
        changed = subprocess.run(
            ["git", "status", "--porcelain", "-uno", "--", ".", ":!benchmarks/results", ":!README.md"],
            cwd=here, capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


def processor() -> str:
    """The processor's name, as a file may be called."""
    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").is_file():
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
        name = found[1] if found else name
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\(\w+\)|@.*|CPU", "", name).lower()).strip("-")
