"""Runs the code blocks of the README's section "Quick start", Python and shell, in the current folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path


def main(readme: str) -> int:
    text = Path(readme).read_text(encoding="utf-8")
    section = re.search(r"^## Quick start\n(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL)
    blocks = re.findall(r"^```(python|sh)\n(.*?)^```", section.group(1) if section else "", re.MULTILINE | re.DOTALL)
    if not blocks:
        print("Expected code blocks in the section 'Quick start' of the README (got none)")
        return 1
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    for kind, code in blocks:
        command = [sys.executable, "-c", code] if kind == "python" else ["bash", "-euc", code]
        if subprocess.run(command, env={**os.environ, "PATH": path}, check=False).returncode:
            print(f"This block failed:\n{code}")
            return 1
    print(f"{len(blocks)} blocks of the quick start ran; files: {', '.join(sorted(os.listdir()))}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
