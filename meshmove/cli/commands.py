"""The command line: ``meshmove adapt | info | demo | train | bench``."""

from __future__ import annotations

import importlib.util
import json
import warnings
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from meshmove.adaptation.movers_by_name import NAMES
from meshmove.whole_files import whole

from . import benchmarks, series, train
from .arguments import boundary_modes, check_folder, check_output, check_picture
from .console import errors, say, warn, working

if TYPE_CHECKING:
    from meshmove import Adaptation

__all__ = ["app", "main"]

app = typer.Typer(
    help="Move the nodes of a finite element mesh to where its solution needs them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
app.add_typer(train.app, name="train")


def main() -> None:
    """Entry point of the command ``meshmove``."""
    app(prog_name="meshmove")


@app.command()
def adapt(
    mesh: Annotated[Path, typer.Argument(metavar="IN", help="Mesh file of any format that meshio reads.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="OUT", help="Where to write the moved mesh.")],
    field: Annotated[str, typer.Option(help="Name of the point data to adapt to.")],
    plot: Annotated[Path | None, typer.Option(metavar="PNG", help="Draw the mesh before and after.")] = None,
    monitor: Annotated[str, typer.Option(help="hessian, gradient or curvature.")] = "hessian",
    mover: Annotated[str, typer.Option(help=f"{', '.join(NAMES[:-1])} or {NAMES[-1]}.")] = "auto",
    effort: Annotated[float, typer.Option(help="0.3 for a quick move, 3 for the best mesh.")] = 1.0,
    transfer: Annotated[
        str, typer.Option(help="How point data are carried along: interpolate, conservative or none.")
    ] = "interpolate",
    regions: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Cell data or cell sets that tell regions apart, or none; repeat for more."),
    ] = None,
    boundary: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]MODE", help="slide or fixed, for all boundaries or by name; repeat for more."),
    ] = None,
) -> None:
    """Move the nodes of a mesh to where a field needs them; of a time series (.pvd, .xdmf, "run_*.vtu") in all frames.

    A series is followed by one moving mesh, written as .pvd or .xdmf, and drawn by --plot as .gif, .mp4 or .html.
    """
    import meshmove

    with errors():
        modes = boundary_modes(boundary or [])
        if series.is_series(mesh):
            series.adapt_series(
                mesh,
                out,
                field,
                plot,
                None if transfer == "none" else transfer,
                monitor=monitor,
                mover=mover,
                effort=effort,
                boundary=modes,
                regions=None if regions == ["none"] else regions or "auto",
            )
            return
        check_output(out)
        if plot is not None:
            check_picture(plot)
        with working(f"reading {mesh.name}"):
            source = meshmove.load(mesh)
        with working(f"moving {len(source.points):,} nodes"):
            result = meshmove.adapt(
                source,
                field,
                monitor=monitor,
                mover=mover,
                effort=effort,
                boundary=modes,
                regions=None if regions == ["none"] else regions or "auto",
                transfer=None if transfer == "none" else transfer,
            )
        with working(f"writing {out.name}"):
            lacking = _saved(result.mesh, out)
        say(str(result.report))
        say(f"wrote {out}")
        for text in lacking:
            warn(text)
        if plot is not None:
            _draw(result, plot, field)


@app.command()
def info(mesh: Annotated[Path, typer.Argument(metavar="FILE", help="Mesh file.")]) -> None:
    """Kinds and counts of cells, names of boundaries, point data, and quality of a mesh, or of a time series."""
    from meshmove.meshes.describe import describe
    from meshmove.meshes.source import Source

    with errors():
        with working(f"reading {mesh.name}"):
            rows = series.describe_series(mesh) if series.is_series(mesh) else describe(Source.of(mesh))
        width = max(len(what) for what, _ in rows)
        say("\n".join(f"{what:<{width}}  {value}" for what, value in rows))


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the results.")] = Path("meshmove-demo"),
) -> None:
    """Adapt a channel with a warm cylinder, and draw it before and after."""
    import meshmove

    with errors():
        out.mkdir(parents=True, exist_ok=True)
        with as_file(files("meshmove") / "data" / "channel.msh") as path:
            mesh = meshmove.load(path)
        meshmove.save(mesh, out / "channel.vtu")
        with working(f"moving {len(mesh.points):,} nodes"):
            result = meshmove.adapt(mesh, "temperature")
        meshmove.save(result.mesh, out / "channel_moved.vtu")
        say(str(result.report))
        say(f"wrote {out / 'channel.vtu'} and {out / 'channel_moved.vtu'}")
        if importlib.util.find_spec("pyvista") is None:
            say('no picture: PyVista is not installed (pip install "meshmove[pyvista]")')
        else:
            _draw(result, out / "channel.png", "temperature")


@app.command()
def bench(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Which; by default those that take minutes.")
    ] = None,
    peers: Annotated[bool, typer.Option("--peers", help="Also run MMG, MFEM's TMOP and Movement.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Smaller sizes, fewer cases.")] = False,
    file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all rows as JSON.")] = None,
    record: Annotated[bool, typer.Option("--record", help="Keep the rows in benchmarks/results.")] = False,
    show: Annotated[bool, typer.Option("--list", help="Say which there are, and run none.")] = False,
) -> None:
    """Run the benchmarks of the repository, among them fem, ring, suite, dmm and hypino; --list names all."""
    with errors():
        if show:
            for name, benchmark in benchmarks.found().items():
                say(f"{name}: {benchmark.title}{'' if benchmark.by_default else ' (only when named)'}")
            return
        wanted = benchmarks.named(names or []) | (benchmarks.named(["peers", "peers-fem"]) if peers else {})
        if file is not None:
            check_folder(file)
        results = {}
        for name, benchmark in wanted.items():
            say(f"\n{name}: {benchmark.title}")
            results[name] = benchmarks.run(name, quick, record)
        if file is not None:
            with whole(file) as part:
                part.write_text(json.dumps(results, indent=1) + "\n")
        say("\n" + benchmarks.summary(results))


def _saved(mesh: Any, path: Path) -> list[str]:
    """Write a mesh; what its file does not hold of it, in words."""
    import meshmove

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", meshmove.MeshFileWarning)
        meshmove.save(mesh, path)
    return [str(w.message) for w in caught if issubclass(w.category, meshmove.MeshFileWarning)]


def _draw(result: Adaptation, path: Path, field: str) -> None:
    from meshmove.plugins.pyvista import plot

    with working(f"drawing {path.name}"):
        plot(result, color=field if field in result.fields else None, filename=path)
    say(f"wrote {path}")
