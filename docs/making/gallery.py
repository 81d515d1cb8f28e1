"""The gallery: a page for each script of `examples/`; its pictures: ``python -m docs.making.gallery [NAME ...]``.

Pictures and films are made by running the examples, which takes some minutes, and are committed small, with the numbers
that the same run gave (`docs/gallery`). The pages are made of the files each time that the documentation is built.
"""

from __future__ import annotations

import ast
import json
import re
import runpy
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
EXAMPLES, PICTURES = ROOT / "examples", ROOT / "docs" / "gallery"
WIDTH = 1200  # pixels, of pictures; films are smaller

__all__ = ["Example", "asserted", "examples", "make", "write_pages"]


class Example(NamedTuple):
    """A script, and what the table of examples/README.md says of it."""

    name: str
    section: str
    shows: str
    number: str

    @property
    def script(self) -> str:
        return (EXAMPLES / f"{self.name}.py").read_text(encoding="utf-8")

    @property
    def text(self) -> tuple[str, str]:
        """First line and the rest of the docstring."""
        title, _, rest = (ast.get_docstring(ast.parse(self.script)) or "").partition("\n")
        return title.rstrip("."), rest.strip()

    @property
    def code(self) -> str:
        """The script below its docstring."""
        return self.script.partition('"""')[2].partition('"""')[2].strip()

    @property
    def pictures(self) -> list[Path]:
        """Pictures first, then films."""
        found = [PICTURES / f"{stem}{end}" for end in (".png", ".mp4") for stem in asserted()[self.name]["pictures"]]
        there = [path for path in found if path.exists()]
        if not there:
            raise FileNotFoundError(f"Expected a picture of {self.name} in {PICTURES} (python -m docs.making.gallery)")
        return there


def examples() -> Iterator[Example]:
    """In the order of examples/README.md."""
    section = "Fields on a mesh"
    for part in (EXAMPLES / "README.md").read_text(encoding="utf-8").split("\n\n"):
        if part.endswith(":"):
            section = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", part).partition(",")[0].rstrip(":")
        for name, shows, number in re.findall(r"^\| `(\w+)\.py` \| (.*) \| (.*) \|$", part, re.MULTILINE):
            yield Example(name, section, shows, number)


def asserted() -> dict[str, dict[str, Any]]:
    """Pictures, and bounds that the tests hold each example to."""
    return tomllib.loads((EXAMPLES / "asserted.toml").read_text(encoding="utf-8"))


def measured() -> dict[str, dict[str, float]]:
    """What the runs gave whose pictures are kept."""
    return json.loads((PICTURES / "numbers.json").read_text())


def write_pages(folder: Path) -> None:
    """A page for each example, and the index."""
    found = list(examples())
    for example in found:
        (folder / f"{example.name}.md").write_text(page(example), encoding="utf-8")
    parts = [
        "# Gallery\n\nEvery picture is the output of a script of `examples/`, which is on its page, with the number "
        "that it prints and the bound that the test suite holds it to. `meshmove examples` lists the scripts, and "
        "`meshmove examples NAME` copies one to run and change.\n"
    ]
    for section in dict.fromkeys(example.section for example in found):
        parts.append(f'## {section}\n\n<div class="gallery" markdown>\n')
        parts += [_card(example) for example in found if example.section == section]
        parts.append("</div>\n")
    (folder / "index.md").write_text("\n".join(parts), encoding="utf-8")


def _card(example: Example) -> str:
    title = example.text[0]
    stills = [p for p in example.pictures if p.suffix != ".mp4"]
    return f"[![{title}]({stills[0].name})\n**{title}**]({example.name}.md)<br>\n{example.number}\n"


def page(example: Example) -> str:
    from docs.making.docstrings import markdown

    title, text = example.text
    bounds = asserted()[example.name]
    films = {p.stem for p in example.pictures if p.suffix == ".mp4"}
    parts = [f"# {title}\n\n{markdown(text)}\n"]
    for path in example.pictures:
        if path.suffix == ".mp4":
            parts.append(f'<video src="{path.name}" poster="{path.stem}.png" controls autoplay loop muted></video>\n')
        elif path.stem not in films:  # else it is a frame of the film
            parts.append(f"![{title}: {path.stem}]({path.name})\n")
    run = ", ".join(f"{key} {value:g}" for key, value in measured()[example.name].items())
    parts.append(f"**The number:** {example.number}.\n\n**The run of this picture gave:** {run}.\n")
    parts.append(f"**The test suite asserts:** {'; '.join(_words(bounds))}.\n")
    parts.append(f"## The script\n\n```sh\nmeshmove examples {example.name}\n```\n\ncopies it.\n")
    parts.append(f"```python\n{example.code}\n```\n")
    return "\n".join(parts)


def _words(bounds: dict[str, Any]) -> Iterator[str]:
    for key, value in bounds.get("at_least", {}).items():
        yield f"at least {value:g} times less error" if key == "factor" else f"{key} at least {value:g}"
    for key, value in bounds.get("at_most", {}).items():
        yield f"{key} at most {value:g}"
    for data, share in bounds.get("share", {}).items():
        yield f"trained on {data} with a part of the steps, error below {share:g} of that of an unchanged field"


def make(names: list[str]) -> None:
    """Run the examples, and keep their pictures, smaller, and their numbers; and the first snippet of the README."""
    PICTURES.mkdir(exist_ok=True)
    if not names:
        landing()
    for name, bounds in asserted().items():
        if names and name not in names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            numbers = runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"](out=Path(folder))
            keep(name, bounds["pictures"], Path(folder), numbers)


def landing() -> None:
    """The picture on the first page is what the snippet above it makes."""
    from meshmove.plugins.pyvista import plot

    snippet = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(snippet[1] if snippet else "", names)
    with tempfile.TemporaryDirectory() as folder:
        plot(names["out"], "field", filename=Path(folder, "out.png"), label="u")
        _still(Path(folder, "out.png"), ROOT / "docs" / "img" / "before_after.png")


def keep(name: str, pictures: list[str], folder: Path, numbers: dict[str, float]) -> None:
    """Copy what one example left in its folder."""
    for stem in pictures:
        film = folder / f"{stem}.gif"
        if film.exists():
            _film(film, PICTURES / f"{stem}.mp4")
        else:
            _still(folder / f"{stem}.png", PICTURES / f"{stem}.png")
    file = PICTURES / "numbers.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    known[name] = {key: float(f"{value:.3g}") for key, value in numbers.items()}
    file.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


def _still(source: Path, target: Path) -> None:
    from PIL import Image

    picture = Image.open(source).convert("RGB")
    picture.thumbnail((WIDTH, WIDTH))
    picture.quantize(256, method=Image.Quantize.FASTOCTREE).save(target, optimize=True)


def _film(source: Path, target: Path) -> None:
    """As MP4, a tenth of the size of a GIF, and the frame in its middle as a picture."""
    import imageio.v3 as iio
    from PIL import Image

    frames = iio.imread(source, index=None)[..., :3]
    height, width = (2 * (n // 2) for n in frames.shape[1:3])  # H.264 wants even numbers
    fps = 1000 / iio.immeta(source, index=0).get("duration", 100)
    frames = frames[:, :height, :width]
    output = ["-crf", "27", "-preset", "slow", "-movflags", "+faststart"]
    iio.imwrite(target, frames, fps=fps, codec="libx264", macro_block_size=2, output_params=output)
    middle = Image.fromarray(frames[len(frames) // 2])
    middle.quantize(256, method=Image.Quantize.FASTOCTREE).save(target.with_suffix(".png"), optimize=True)


if __name__ == "__main__":
    make(sys.argv[1:])
