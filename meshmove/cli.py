"""The command line: ``meshmove adapt | info | demo | train | bench``."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from meshmove.geometry.errors import MeshmoveError

from . import _train
from .movers_by_name import NAMES

if TYPE_CHECKING:
    from meshmove import Adaptation

__all__ = ["app", "main"]

app = typer.Typer(
    help="Move the nodes of a finite element mesh to where its solution needs them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
app.add_typer(_train.app, name="train")


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
    """Move the nodes of a mesh to where a field needs them."""
    import meshmove

    with _errors():
        modes = _boundary(boundary or [])
        _check_output(out)
        if plot is not None:
            _check_picture(plot)
        with _working(f"reading {mesh.name}"):
            source = meshmove.load(mesh)
        with _working(f"moving {len(source.points):,} nodes"):
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
        with _working(f"writing {out.name}"):
            lacking = _saved(result.mesh, out)
        _say(str(result.report))
        _say(f"wrote {out}")
        for text in lacking:
            Console(stderr=True, soft_wrap=True).print(_plain(f"meshmove: {text}"), style="yellow")
        if plot is not None:
            _draw(result, plot, field)


@app.command()
def info(mesh: Annotated[Path, typer.Argument(metavar="FILE", help="Mesh file.")]) -> None:
    """Kinds and counts of cells, names of boundaries, point data, and quality of a mesh."""
    from meshmove._info import describe
    from meshmove.inputs import Source

    with _errors():
        with _working(f"reading {mesh.name}"):
            rows = describe(Source.of(mesh))
        width = max(len(what) for what, _ in rows)
        _say("\n".join(f"{what:<{width}}  {value}" for what, value in rows))


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the results.")] = Path("meshmove-demo"),
) -> None:
    """Adapt a channel with a warm cylinder, and draw it before and after."""
    import meshmove

    with _errors():
        out.mkdir(parents=True, exist_ok=True)
        with as_file(files("meshmove") / "data" / "channel.msh") as path:
            mesh = meshmove.load(path)
        meshmove.save(mesh, out / "channel.vtu")
        with _working(f"moving {len(mesh.points):,} nodes"):
            result = meshmove.adapt(mesh, "temperature")
        meshmove.save(result.mesh, out / "channel_moved.vtu")
        _say(str(result.report))
        _say(f"wrote {out / 'channel.vtu'} and {out / 'channel_moved.vtu'}")
        if importlib.util.find_spec("pyvista") is None:
            _say('no picture: PyVista is not installed (pip install "meshmove[pyvista]")')
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
    show: Annotated[bool, typer.Option("--list", help="Say which there are, and run none.")] = False,
) -> None:
    """Run the benchmarks of the repository, among them fem, ring, suite, dmm and hypino; --list names all."""
    from meshmove import _bench

    with _errors():
        if show:
            for name, benchmark in _bench.found().items():
                _say(f"{name}: {benchmark.title}{'' if benchmark.by_default else ' (only when named)'}")
            return
        wanted = _bench.named(names or []) | (_bench.named(["peers"]) if peers else {})
        if file is not None:
            _check_folder(file)
        results = {}
        for name, benchmark in wanted.items():
            _say(f"\n{name}: {benchmark.title}")
            results[name] = _bench.run(name, quick)
        if file is not None:
            _replace(file, json.dumps(results, indent=1) + "\n")
        _say("\n" + _bench.summary(results))


# -- helpers --------------------------------------------------------------------------------------------------------


def _plain(text: str) -> Any:
    from rich.text import Text

    return Text(text)


def _say(text: str) -> None:
    typer.echo(text)


def _saved(mesh: Any, path: Path) -> list[str]:
    """Write a mesh; what its file does not hold of it, in words."""
    import meshmove

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", meshmove.MeshFileWarning)
        meshmove.save(mesh, path)
    return [str(w.message) for w in caught if issubclass(w.category, meshmove.MeshFileWarning)]


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """One line on standard error and exit code 1 for whatever a user can mend; a bug keeps its traceback."""
    try:
        yield
    except (MeshmoveError, ValueError, OSError) as error:
        Console(stderr=True, soft_wrap=True).print(_plain(f"meshmove: {' '.join(str(error).split())}"), style="red")
        raise typer.Exit(1) from None


@contextlib.contextmanager
def _working(what: str) -> Iterator[None]:
    """A spinner and a clock on standard error, where that is a terminal."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        progress.add_task(what, total=None)
        yield


def _boundary(words: list[str]) -> str | Mapping[str, str]:
    if len(words) == 1 and "=" not in words[0]:
        return words[0]
    modes = {}
    for word in words:
        name, equals, mode = word.rpartition("=")
        if not equals or not name:
            raise ValueError(f"Expected --boundary NAME=slide or NAME=fixed (got {word!r})")
        modes[name] = mode
    return modes or "slide"


def _check_folder(path: Path) -> None:
    folder = path.parent
    if not folder.is_dir():
        raise ValueError(f"Expected a folder that exists for '{path}' (got '{folder}', which does not)")
    if path.is_dir():
        raise ValueError(f"Expected a file to write (got '{path}', which is a folder)")
    if not os.access(folder, os.W_OK):
        raise ValueError(f"Expected a folder that can be written for '{path}' (got '{folder}', which cannot)")


def _check_output(path: Path) -> None:
    """What would make writing fail is known before the work begins."""
    from meshmove._formats import formats_to_write

    _check_folder(path)
    formats_to_write(path)


def _check_picture(path: Path) -> None:
    from meshmove._optional import require

    require("pyvista", extra="pyvista")
    _check_folder(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"Expected a picture with the extension .png (got '{path.name}')")


def _draw(result: Adaptation, path: Path, field: str) -> None:
    # by name, for plugins stand above this module
    plot = importlib.import_module("meshmove.plugins.pyvista").plot
    with _working(f"drawing {path.name}"):
        plot(result, color=field if field in result.fields else None, filename=path)
    _say(f"wrote {path}")


def _replace(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
