"""Pages of the notebooks in docs/tutorials, with what their cells printed and drew when they were run."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["cells", "write_pages"]


def cells(notebook: Path) -> list[dict[str, Any]]:
    """Those of a notebook: "cell_type", "source" and "outputs"."""
    return json.loads(notebook.read_text(encoding="utf-8"))["cells"]


def write_pages(folder: Path) -> None:
    """A page beside each notebook of the folder, and its pictures."""
    for notebook in sorted(folder.glob("*.ipynb")):
        parts = []
        for number, cell in enumerate(cells(notebook)):
            text = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                parts.append(text.replace(".ipynb)", ".md)"))
            else:
                parts.append(f"```python\n{text}\n```")
                parts += _outputs(cell["outputs"], folder, f"{notebook.stem}_{number}")
        parts.append(f"[This page as a notebook]({notebook.name})")
        notebook.with_suffix(".md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _outputs(outputs: list[dict[str, Any]], folder: Path, name: str) -> Iterator[str]:
    for output in outputs:
        data = output.get("data", {"text/plain": output.get("text", [])})
        if "image/png" in data:
            (folder / f"{name}.png").write_bytes(base64.b64decode("".join(data["image/png"])))
            yield f"![What the cell above draws]({name}.png)"
        else:
            yield f"```text\n{''.join(data['text/plain']).rstrip()}\n```"
