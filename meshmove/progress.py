"""Progress of what takes more than a few seconds: bars, and the stages of a move."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import TypeVar

__all__ = ["STAGES", "progress_of", "stage"]

T = TypeVar("T")

#: the logger that is told of the stages of a move, each with what it has reached
STAGES = logging.getLogger("meshmove.stages")


def stage(text: str, *values: object) -> None:
    """Tell that a stage of a move is done, at the level INFO of the logger ``meshmove.stages``."""
    STAGES.info(text, *values)


def progress_of(items: Iterable[T], what: str, show: bool, total: int | None = None) -> Iterable[T]:
    """The items, with a progress bar on standard error if wanted and where that is a terminal.

    `total`: how many there are, where that is known and they do not say so themselves.
    """
    if not show:
        return items
    return _shown(items, what, total)


def _shown(items: Iterable[T], what: str, total: int | None) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    yield from track(items, description=what, total=total, console=console, disable=not console.is_terminal)
