"""What the command lines of models with a base have in common: whose weights, where truths are, where rows go."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks.harness import Rows, machine, record, table

__all__ = ["learning", "parser", "written"]


def parser(text: str | None, quick: str, weights: str) -> argparse.ArgumentParser:
    """Of a benchmark with this docstring: what `--quick` means for it, and weights by default."""
    made = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--quick", action="store_true", help=quick)
    made.add_argument("--weights", default=weights, help="a name or a file, default: %(default)s")
    made.add_argument("--folder", type=Path, default=Path("out/mmpde/data"), help="of truths, default: %(default)s")
    made.add_argument("--json", type=Path, metavar="FILE", help="write the rows to this file as well")
    made.add_argument("--record", action="store_true", help="keep the rows in benchmarks/results, by processor")
    return made


def learning(made: argparse.ArgumentParser) -> None:
    """With options to learn the weights anew."""
    made.add_argument("--train", type=Path, metavar="FOLDER", help="learn there first, and measure that model")
    made.add_argument("--seed", type=int, default=0, metavar="N", help="of that training, default: %(default)s")


def written(rows: Rows, args: argparse.Namespace, module: str) -> None:
    """Print the rows of a benchmark's file, and write them where the arguments say."""
    sys.stdout.write(table(rows) + "\n")
    found = {"machine": machine(), "rows": rows}
    if args.json:
        args.json.write_text(json.dumps(found, indent=1, default=str) + "\n")
    if args.record:
        record(Path(module), found)
