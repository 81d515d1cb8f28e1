"""The command line: ``meshmove adapt | info | demo | examples | train | bench``."""

from __future__ import annotations

import importlib.util
import json
import warnings
from dataclasses import asdict
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from meshmove.meshes.source import Source
from meshmove.whole_files import whole

from . import benchmarks, examples, parallel, series, train
from . import options as option
from .arguments import boundary_modes, check_folder, check_output, check_picture, one_file, one_of
from .console import errors, say, set_talk, table, tell, warn, working
from .expressions import Expression
from .fields import chosen, monitor_of

if TYPE_CHECKING:
    from meshmove import Adaptation

__all__ = ["app", "main"]

app = typer.Typer(
    help="Move the nodes of a finite element mesh to where its solution needs them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(train.app, name="train")


def main() -> None:
    """Entry point of the command ``meshmove``."""
    app(prog_name="meshmove")


def _version(wanted: bool) -> None:
    if wanted:
        import meshmove

        say(f"meshmove {meshmove.__version__}")
        raise typer.Exit


@app.callback()
def common(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors and results.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say each stage of a move, and its residual.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version, and no more.")
    ] = False,
) -> None:
    """What all commands share."""
    with errors():
        set_talk(quiet, verbose)


@app.command()
def adapt(
    given: option.Mesh,
    out: option.Out,
    field: option.Field = None,
    field_from: option.FieldFrom = None,
    monitor: option.Monitor = "hessian",
    mover: option.Mover = "auto",
    effort: option.Effort = 1.0,
    transfer: option.Transfer = "interpolate",
    regions: option.Regions = None,
    boundary: option.Boundary = None,
    plot: option.Plot = None,
    force: Annotated[bool, typer.Option("--force", help="OUT may be the file that is read.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Move the nodes of a mesh to where a field needs them; of a time series (.pvd, .xdmf, "run_*.vtu") in all frames.

    The field is in the file, in another one, or a formula; with a formula as monitor none is needed. A series is
    followed by one moving mesh, written as .pvd or .xdmf, and drawn by --plot as .gif, .mp4 or .html. Under mpiexec all
    processes read, move and write one .xdmf mesh together, by DOLFINx.
    """
    import meshmove

    with errors():
        mesh = one_file(given)
        names = None if regions == ["none"] else regions or "auto"
        carried = None if transfer == "none" else transfer
        how: dict[str, Any] = {"mover": mover, "effort": effort, "regions": names}
        how |= {"monitor": monitor_of(monitor), "boundary": boundary_modes(boundary or [])}
        if parallel.processes() > 1:
            refused = {"--field-from": field_from, "--plot": plot, "--transfer": transfer == "conservative"}
            parallel.adapt_together(mesh, out, field, carried, as_json, refused, **how)
            return
        if series.is_series(mesh, out):
            series.check(mesh, out, field, field_from, as_json, force)
            series.adapt_series(mesh, out, str(field), plot, carried, **how)
            return
        check_output(out, mesh, force)
        if plot is not None:
            check_picture(plot)
        with working(f"reading {mesh.name}"):
            source = Source.of(mesh, names)
            wanted = chosen(source, field, field_from, needed=not Expression.like(monitor))
        with working(f"moving {len(source.mesh.points):,} nodes"):
            result = meshmove.adapt(source.mesh, wanted.field, transfer=carried, **how)
        with working(f"writing {out.name}"):
            lacking = _saved(wanted.put(result), out)
        say(json.dumps(asdict(result.report), indent=1) if as_json else str(result.report))
        if not as_json:
            tell(f"wrote {out}")
        for text in lacking:
            warn(text)
        if plot is not None:
            _draw(result, plot, wanted.name)


@app.command()
def info(
    given: Annotated[list[str] | None, typer.Argument(metavar="FILE", help="Mesh file, or time series.")] = None,
    formats: Annotated[bool, typer.Option("--formats", help="Which files are read and written.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Kinds and counts of cells, names of boundaries, point data, and quality of a mesh, or of a time series."""
    from meshmove.meshes.describe import describe

    with errors():
        mesh = one_file(given) if given else None
        if mesh is None and not formats:
            raise ValueError("Expected a mesh file, or --formats (got neither)")
        if mesh is None:
            rows = _formats()
        else:
            with working(f"reading {mesh.name}"):
                rows = series.describe_series(mesh) if series.is_series(mesh) else describe(Source.of(mesh))
        if as_json:
            say(json.dumps(_by_name(rows), indent=1))
            return
        table(rows)


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


@app.command("examples")
def list_examples(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Which to copy; none lists them.")] = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to copy it to.")] = Path(),
) -> None:
    """List the examples, or copy one as a script to run and change."""
    with errors():
        titles = examples.found()
        if name is None:
            table(titles.items())
            return
        for path in examples.copy(one_of(list(titles))(name.removesuffix(".py")), out):
            tell(f"wrote {path}")


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
            every = benchmarks.found().items()
            when = {True: "by default", False: "only when named"}
            table([(name, b.title, when[b.by_default]) for name, b in every], ("name", "what it measures", "runs"))
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
        judged = benchmarks.judged(results)
        if judged:
            say("")
            table(judged, ("benchmark", "of", "measured", "target", ""))
        say(f"\n{sum(row[-1] == 'met' for row in judged)} of {len(judged)} targets met")


def _formats() -> list[tuple[str, str]]:
    """By extension, who reads and writes it."""
    from meshmove.meshes.files.formats import known_formats
    from meshmove.meshes.files.own_meshio import extensions
    from meshmove.plugins.vtk_files import SUFFIXES

    rows = []
    for suffix in sorted({*extensions(), *SUFFIXES}):
        meshio = known_formats(f"mesh{suffix}")
        by = [f"read and written by meshio ({', '.join(meshio)})"] if meshio else []
        rows.append((suffix, "; ".join(by + ["read by PyVista"] * (suffix in SUFFIXES))))
    return rows


def _by_name(rows: list[tuple[str, str]]) -> dict[str, str | list[str]]:
    """Rows as a mapping; those without a name go on with the one above."""
    found: dict[str, list[str]] = {}
    name = ""
    for what, value in rows:
        name = what or name
        found.setdefault(name, []).append(value)
    return {k: v[0] if len(v) == 1 else v for k, v in found.items()}


def _saved(mesh: Any, path: Path) -> list[str]:
    """Write a mesh; what its file does not hold of it, in words."""
    import meshmove

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", meshmove.MeshFileWarning)
        meshmove.save(mesh, path)
    return [str(w.message) for w in caught if issubclass(w.category, meshmove.MeshFileWarning)]


def _draw(result: Adaptation, path: Path, field: str | None) -> None:
    from meshmove.plugins.pyvista import plot

    with working(f"drawing {path.name}"):
        plot(result, color=field if field in result.fields else None, filename=path)
    tell(f"wrote {path}")
