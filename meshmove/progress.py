"""Progress of what takes more than a few seconds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

__all__ = ["progress_of"]

T = TypeVar("T")


def progress_of(items: Sequence[T], what: str, show: bool) -> Iterable[T]:
    """The items, with a progress bar on standard error if wanted and where that is a terminal."""
    if not show:
        return items
    return _shown(items, what)


def _shown(items: Sequence[T], what: str) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    yield from track(items, description=what, console=console, disable=not console.is_terminal)
