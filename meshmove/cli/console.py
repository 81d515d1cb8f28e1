"""What the command line says: results on standard output, progress and errors on standard error."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator, Sequence

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from meshmove.geometry.errors import MeshmoveError

__all__ = ["errors", "say", "set_quiet", "table", "tell", "warn", "working"]

#: seconds after which a step is told of where there is no terminal to show that something goes on
PATIENCE = 2.0
#: columns of what is piped: no line is broken
_WIDE = 10_000
_quiet = False


def set_quiet(quiet: bool) -> None:
    """Whether to say no more than results, warnings and errors."""
    global _quiet
    _quiet = quiet


def say(text: str) -> None:
    typer.echo(text)


def tell(text: str) -> None:
    """What happened, for those who did not ask for quiet."""
    if not _quiet:
        typer.echo(text)


def warn(text: str) -> None:
    """One line on standard error."""
    Console(stderr=True, soft_wrap=True).print(Text(f"meshmove: {text}"), style="yellow")


def table(rows: Iterable[Sequence[str]], head: Sequence[str] = ()) -> None:
    """Columns of text: long ones are broken on a terminal, and stay on their line where they are piped."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDE)
    drawn = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=bool(head), header_style="bold")
    for row in rows:
        while len(drawn.columns) < len(row):
            first = not drawn.columns
            drawn.add_column(*head[len(drawn.columns) :][:1], style="cyan" if first else "", no_wrap=first)
        drawn.add_row(*map(Text, row))
    with console.capture() as said:
        console.print(drawn)
    say("\n".join(line.rstrip() for line in said.get().splitlines()))


@contextlib.contextmanager
def errors() -> Iterator[None]:
    """One line on standard error and exit code 1 for whatever a user can mend; a bug keeps its traceback."""
    try:
        yield
    except (MeshmoveError, ValueError, OSError) as error:
        Console(stderr=True, soft_wrap=True).print(Text(f"meshmove: {' '.join(str(error).split())}"), style="red")
        raise typer.Exit(1) from None


@contextlib.contextmanager
def working(what: str) -> Iterator[None]:
    """A spinner and a clock on standard error; where that is no terminal, a line for what takes its time."""
    console = Console(stderr=True)
    if _quiet or not console.is_terminal:
        with contextlib.nullcontext() if _quiet else _lines(what):
            yield
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        progress.add_task(what, total=None)
        yield


@contextlib.contextmanager
def _lines(what: str) -> Iterator[None]:
    began, told = time.perf_counter(), threading.Event()

    def tell_late() -> None:
        told.set()
        typer.echo(f"meshmove: {what} ...", err=True)

    timer = threading.Timer(PATIENCE, tell_late)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
    if told.is_set():
        typer.echo(f"meshmove: {what}: {time.perf_counter() - began:.1f} s", err=True)
