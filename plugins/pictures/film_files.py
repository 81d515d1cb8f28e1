"""Files of moving pictures: GIF, MP4, and a page with a time slider; whole or not at all."""

from __future__ import annotations

import base64
import contextlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.meshes.files.io import MeshFileError
from meshmove.optional import require
from meshmove.whole_files import unwritable

__all__ = ["PICTURES", "check_path", "whole_film", "write_film"]

#: kinds of files that are made of pictures
PICTURES = (".gif", ".mp4", ".html")
#: packages of the extra "pyvista" that draw, and of "video", which brings those too, that write .mp4
_DRAWING, _WRITING = ("pyvista", "PIL.Image", "matplotlib"), ("imageio.v2", "imageio_ffmpeg")
#: of the 256 colours of a GIF, those of colour maps; the others are greys
_OF_MAPS = 224

Images = Iterable[NDArray[np.uint8]]


def check_path(path: str | os.PathLike[str], kinds: Sequence[str] = PICTURES) -> Path:
    """The path, when its kind is known, its writer installed, and its folder there (it is made) and open to us.

    Raises
    ------
    ValueError
        Another suffix.
    MeshFileError
        The folder cannot be made or written to, or the path is a folder. It is an `OSError`.
    MissingPackageError
        Of pictures, what draws or writes them is not installed.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in kinds:
        raise ValueError(
            f"Expected a {' or '.join(filter(None, [', '.join(kinds[:-1]), kinds[-1]]))} file (got {path.name!r})"
        )
    extra = "video" if kind == ".mp4" else "pyvista"
    for module in (*_DRAWING, *(_WRITING if kind == ".mp4" else ())) if kind in PICTURES else ():
        require(module, extra=extra)
    if path.is_dir():
        raise MeshFileError(f"Expected the name of a file to write (got '{path}', which is a folder)")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as why:
        raise MeshFileError(f"Expected a folder that can be made (got '{path.parent}': {why.strerror})") from why
    why_not = unwritable(path.parent)
    if why_not is not None:
        raise MeshFileError(f"Expected a folder that can be written (got '{path.parent}', which cannot: {why_not})")
    return path


@contextlib.contextmanager
def whole_film(path: Path) -> Iterator[Path]:
    """A name of the same suffix beside the file, which it takes the place of at the end, and only then."""
    part = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix.lower()}")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_film(path: Path, images: Images, speed: float, maps: Sequence[Any], labels: Sequence[str] = ()) -> None:
    """Write pictures (height, width, 3) at `speed` in frames a second, as the suffix says.

    `maps`: the colour maps in them, or their names. `labels`: of the pictures, for the page's slider.
    """
    kind = path.suffix.lower()
    if kind == ".gif":
        _gif(path, images, speed, maps)
    elif kind == ".mp4":
        _mp4(path, images, speed)
    else:
        _page(path, images, speed, labels)


def _gif(path: Path, images: Images, speed: float, maps: Sequence[Any]) -> None:
    """With one palette of the colour maps and greys for all frames: so nothing flickers."""
    image, matplotlib = require("PIL.Image", extra="pyvista"), require("matplotlib", extra="pyvista")
    each = _OF_MAPS // len(maps)
    colours = [matplotlib.colormaps.get_cmap(m)(np.linspace(0, 1, each))[:, :3] for m in maps]
    colours.append(np.repeat(np.linspace(0, 1, 256 - each * len(maps))[:, None], 3, axis=1))
    palette = image.new("P", (1, 1))
    palette.putpalette((255 * np.concatenate(colours)).round().astype(np.uint8).tobytes())
    made = (image.fromarray(i).quantize(palette=palette, dither=image.Dither.NONE) for i in images)
    next(made).save(path, save_all=True, append_images=made, duration=1000 / speed, loop=0, optimize=False)


def _mp4(path: Path, images: Images, speed: float) -> None:
    imageio = require("imageio.v2", extra="video")
    with imageio.get_writer(path, fps=speed) as film:
        for picture in images:
            film.append_data(picture)


def _page(path: Path, images: Images, speed: float, labels: Sequence[str]) -> None:
    """A page that needs nothing but itself: pictures, a slider, play and pause, and arrow keys."""
    page = files("meshmove.plugins.pictures").joinpath("player.html").read_text()
    head, tail = page.split("/*FRAMES*/")
    head = head.replace("/*SPEED*/", f"{speed:g}")
    encode = _png_encoder()
    with path.open("w", encoding="utf-8") as file:
        file.write(head)
        for k, (picture, label) in enumerate(zip(images, chain(labels, iter(str, None)), strict=False)):
            file.write(f'{"," if k else ""}\n["{label}","{encode(picture)}"]')
        file.write(tail)


def _png_encoder() -> Callable[[NDArray[np.uint8]], str]:
    image = require("PIL.Image", extra="pyvista")

    def encode(picture: NDArray[np.uint8]) -> str:
        out = io.BytesIO()
        image.fromarray(picture).save(out, "PNG")
        return base64.b64encode(out.getvalue()).decode()

    return encode
