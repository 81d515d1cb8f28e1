"""``python -m benchmarks.accelerator``, by way of run.sh: agreement, training, throughput, as far as time goes."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.harness import machine, row, table

import torch  # isort: skip

from .agreement import agreement
from .throughput import throughput
from .training import ALIGNER, MODELS, train, train_aligner

#: seconds that a part may need; training gets what the others leave
NEEDED = {"agreement": 20, "throughput": 120}
#: seconds that are kept to write down what was found
KEPT = 15


def main() -> int:
    parser = argparse.ArgumentParser(prog="run.sh", description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="small sizes, a few steps of training: a minute on a CPU")
    parser.add_argument("--out", type=Path, default=Path("out/accelerator"), metavar="DIR", help="where results go")
    parser.add_argument("--minutes", type=float, default=9.0, help="in all")
    parser.add_argument("--train", nargs="*", default=[ALIGNER], choices=[*MODELS, ALIGNER], help="models to train on")
    parser.add_argument("--only-train", action="store_true", help="neither agreement nor throughput")
    parser.add_argument("--batch", type=int, default=32, help="samples a step of training")
    parser.add_argument("--nodes", type=int, default=40_000, help=f"nodes a step of training {ALIGNER}")
    parser.add_argument("--start", type=Path, metavar="FILE", help=f"weights that {ALIGNER} starts from")
    parser.add_argument("--meshes", type=Path, metavar="FILE", help=f"meshes that {ALIGNER} is trained on")
    parser.add_argument("--from", dest="home", type=Path, default=Path(), help=argparse.SUPPRESS)
    args = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    out = args.home / args.out
    out.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60 * args.minutes - KEPT
    rows: list[dict[str, object]] = []

    def part(name: str, found: Callable[[], Iterator[dict[str, object]]], needed: float) -> None:
        if end - time.monotonic() < needed:
            rows.append(row(f"{name}: skipped, no time was left", ""))
            return
        for line in found():
            rows.append(line)
            print(table([line]).splitlines()[-1], flush=True)
            _write(out / "accelerator.json", device, rows)

    if not args.only_train:
        part("agreement", lambda: agreement(device, args.tiny), 0 if args.tiny else NEEDED["agreement"])
    kept = 0 if args.only_train else NEEDED["throughput"]
    for k, name in enumerate(args.train):
        seconds = 1.0 if args.tiny else (end - kept - time.monotonic()) / (len(args.train) - k)
        if name == ALIGNER:
            paths = (None if path is None else args.home / path for path in (args.start, args.meshes))
            part(name, lambda s=seconds, p=tuple(paths): train_aligner(s, out, device, args.nodes, *p, args.tiny), 0)  # type: ignore[misc]
            continue
        options = (1, 2) if args.tiny else (args.batch,)
        part(name, lambda n=name, s=seconds, o=options: train(n, s, out, device, *o), 0 if args.tiny else kept + 30)  # type: ignore[misc]
    if not args.only_train:
        part("throughput", lambda: throughput(device, args.tiny), 0 if args.tiny else 0.5 * kept)
    print(f"\nwrote {out / 'accelerator.json'}")
    return int(any(line["met"] is False for line in rows))


def _write(path: Path, device: str, rows: list[dict[str, object]]) -> None:
    name = torch.cuda.get_device_name() if device == "cuda" else platform.processor()
    known = {**machine(), "device": name, "torch": torch.__version__}
    path.write_text(json.dumps({"machine": known, "rows": rows}, indent=1, default=str) + "\n")


if __name__ == "__main__":
    sys.exit(main())
