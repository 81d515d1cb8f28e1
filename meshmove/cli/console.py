"""What the command line says: results on standard output, progress and errors on standard error."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from meshmove.geometry.errors import MeshmoveError
from meshmove.progress import STAGES

__all__ = ["errors", "say", "set_talk", "table", "tell", "warn", "working"]

#: seconds after which a step is told of where there is no terminal to show that something goes on
PATIENCE = 2.0
#: columns of what is piped: no line is broken
_WIDE = 10_000
#: seconds between two stages that are told of there
APART = 5.0
_quiet = _verbose = False


def set_talk(quiet: bool, verbose: bool) -> None:
    """Whether to say no more than results, warnings and errors, or every stage of a move.

    Raises
    ------
    ValueError
        Both.
    """
    global _quiet, _verbose
    if quiet and verbose:
        raise ValueError("Expected --quiet or --verbose (got both)")
    _quiet, _verbose = quiet, verbose


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
    """A spinner, a clock and the stage on standard error; where that is no terminal, lines for what takes its time."""
    console = Console(stderr=True)
    if _quiet:
        yield
    elif console.is_terminal:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task(what, total=None)

            def show(stage: str) -> None:
                if _verbose:
                    progress.console.print(Text(f"  {stage}"), style="dim")
                else:
                    progress.update(task, description=f"{what}: {stage}")

            with _stages(show):
                yield
    else:
        with _Lines(what) as lines, _stages(lines.stage):
            yield


class _Lines:
    """What is told where there is no terminal: that a step takes long, now and then how far it is, that it is done.

    All stages with --verbose; else what takes less than `PATIENCE` seconds is not spoken of.
    """

    def __init__(self, what: str) -> None:
        self.what, self.began, self.last = what, time.perf_counter(), time.perf_counter()
        self.told = threading.Event()
        self.timer = threading.Timer(0.0 if _verbose else PATIENCE, self._begin)
        self.timer.daemon = True

    def __enter__(self) -> _Lines:
        self._begin() if _verbose else self.timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.timer.cancel()
        if self.told.is_set():
            self._say(f"{self.what}: {time.perf_counter() - self.began:.1f} s")

    def stage(self, text: str) -> None:
        """Say it, if it is time again."""
        now = time.perf_counter()
        if _verbose or (self.told.is_set() and now - self.last >= APART):
            self.last = now
            self._say(f"{now - self.began:6.1f} s  {text}")

    def _begin(self) -> None:
        self.told.set()
        self._say(f"{self.what} ...")

    def _say(self, text: str) -> None:
        typer.echo(f"meshmove: {text}", err=True)


@contextlib.contextmanager
def _stages(show: Callable[[str], None]) -> Iterator[None]:
    """Each stage of a move is shown as it ends."""
    handler = logging.Handler(logging.INFO)
    handler.emit = lambda record: show(record.getMessage())  # type: ignore[method-assign]
    level = STAGES.level
    STAGES.addHandler(handler)
    STAGES.setLevel(logging.INFO)
    try:
        yield
    finally:
        STAGES.removeHandler(handler)
        STAGES.setLevel(level)
