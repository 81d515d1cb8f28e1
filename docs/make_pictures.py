"""Draws the pictures of the README and the documentation: python docs/make_pictures.py"""

import runpy
from pathlib import Path

import numpy as np
import skfem
from PIL import Image

import meshmove
from meshmove.plugins.pyvista import plot

IMAGES = Path(__file__).parent / "img"


def ring(x):
    """A front across a circle, with a peak inside."""
    r2 = (x[0] - 0.5) ** 2 + (x[1] - 0.5) ** 2
    return np.tanh(40 * (np.sqrt(r2) - 0.3)) + np.exp(-300 * r2)


def main() -> None:
    mesh = skfem.MeshTri.init_symmetric().refined(4)
    out = meshmove.adapt(mesh, ring(mesh.p))
    print(out.report)
    IMAGES.mkdir(exist_ok=True)
    file = IMAGES / "before_after.png"
    plot(out, "field", filename=file)
    _smaller(file)
    example = runpy.run_path(str(Path(__file__).parents[1] / "examples" / "mmpde_fronts.py"))
    example["main"](out=IMAGES)
    _smaller(IMAGES / "mmpde_fronts.png")


def _smaller(file: Path) -> None:
    picture = Image.open(file).convert("RGB")
    picture.thumbnail((1200, 1200))
    picture.quantize(64).save(file, optimize=True)  # a tenth of the size


if __name__ == "__main__":
    main()
