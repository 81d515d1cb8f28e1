"""Reads the names in an archive of sources, and says what is missing there."""

from __future__ import annotations

import sys

FOLDERS = ("geometry", "meshmove", "solvers", "plugins", "tests", "examples", "docs", "benchmarks", ".ci")
FILES = ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "CITATION.cff", "Makefile")


def main() -> int:
    names = {line.strip().partition("/")[2] for line in sys.stdin}
    folders = {name.partition("/")[0] for name in names if "/" in name}
    missing = [f for f in FOLDERS if f not in folders] + [f for f in FILES if f not in names]
    if missing:
        print(f"Expected in the archive of sources: {', '.join(missing)}. See MANIFEST.in")
    return bool(missing)


if __name__ == "__main__":
    sys.exit(main())
