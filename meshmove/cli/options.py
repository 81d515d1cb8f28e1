"""The options of ``meshmove adapt``: what they are called, what they take, and what is said of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from meshmove.adaptation.movers_by_name import NAMES
from meshmove.monitors.monitor import KINDS

from .arguments import formula_or, one_of

__all__ = [
    "Boundary",
    "Effort",
    "Field",
    "FieldFrom",
    "Mesh",
    "Monitor",
    "Mover",
    "Out",
    "Plot",
    "Regions",
    "Transfer",
]

Mesh = Annotated[
    list[str],
    typer.Argument(
        metavar="IN",
        help='One mesh file of any format that meshio or PyVista reads, or a time series: .pvd, .xdmf, "run_*.vtu".',
    ),
]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="OUT", help="Where to write the moved mesh.")]
Field = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FORMULA",
        help="Point data or cell data to adapt to, or a formula of x, y, z and r, such as 'tanh(30*(x-1))'.",
    ),
]
FieldFrom = Annotated[
    str | None, typer.Option(metavar="FILE[:NAME]", help="Take the field from another file, whatever its mesh.")
]
Monitor = Annotated[
    str,
    typer.Option(
        metavar="NAME|FORMULA",
        help=f"{', '.join(KINDS)}, or how many times denser than elsewhere the mesh shall be, "
        "such as '1+9*exp(-50*r^2)'.",
        callback=formula_or(KINDS),
    ),
]
Mover = Annotated[str, typer.Option(help=f"{', '.join(NAMES[:-1])} or {NAMES[-1]}.", callback=one_of(NAMES))]
Effort = Annotated[float, typer.Option(help="0.3 for a quick move, 3 for the best mesh.")]
Transfer = Annotated[
    str,
    typer.Option(
        help="How point data are carried along: interpolate, conservative or none.",
        callback=one_of(["interpolate", "conservative", "none"]),
    ),
]
Regions = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Cell data or cell sets that tell regions apart, or none; repeat for more."),
]
Boundary = Annotated[
    list[str] | None,
    typer.Option(metavar="[NAME=]MODE", help="slide or fixed, for all boundaries or by name; repeat for more."),
]
Plot = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Draw the mesh before and after: .png, .svg, .pdf or .jpg.")
]
