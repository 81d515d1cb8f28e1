"""What the command line says: results on standard output, progress and errors on standard error."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from meshmove.geometry.errors import MeshmoveError

__all__ = ["errors", "say", "warn", "working"]


def say(text: str) -> None:
    typer.echo(text)


def warn(text: str) -> None:
    """One line on standard error."""
    Console(stderr=True, soft_wrap=True).print(Text(f"meshmove: {text}"), style="yellow")


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
    """A spinner and a clock on standard error, where that is a terminal."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        progress.add_task(what, total=None)
        yield
