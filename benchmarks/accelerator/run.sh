#!/usr/bin/env bash
# bash benchmarks/accelerator/run.sh [--tiny] [--out DIR] [--minutes M] [--train NAME ...]: see benchmarks/accelerator/__init__.py.
# Nothing is installed: the four folders are laid together as one package beside the benchmarks.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$root/meshmove" "$root/benchmarks" "$work/"
for part in geometry solvers plugins; do cp -r "$root/$part" "$work/meshmove/"; done
here=$PWD
cd "$work"
PYTHONPATH="$work${PYTHONPATH:+:$PYTHONPATH}" "${PYTHON:-python3}" -m benchmarks.accelerator --from "$here" "$@"
