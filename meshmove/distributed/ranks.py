"""Processes that pass each other arrays: what is asked of MPI, or of whatever stands in its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import MeshmoveError

__all__ = ["Alone", "Ranks", "RanksError", "or_end", "same_everywhere", "together"]


class RanksError(MeshmoveError, RuntimeError):
    """What went wrong on another process, or the processes do not ask for the same."""


class Ranks(Protocol):
    """Processes 0 to size - 1. All of them call the same methods in the same order."""

    @property
    def rank(self) -> int: ...

    @property
    def size(self) -> int: ...

    def reduce(self, values: NDArray, how: str) -> NDArray:
        """ "sum", "max" or "min" of arrays of one shape and type, number by number; the same on all processes."""
        ...

    def gather(self, value: Any) -> list[Any]:
        """A value of each process, on all of them: small ones only."""
        ...

    def swap(self, parts: Mapping[int, NDArray]) -> dict[int, NDArray]:
        """Arrays sent to some processes, and those that came from some; nobody knows from whom any will come."""
        ...

    def trade(self, parts: Mapping[int, NDArray], into: Mapping[int, NDArray]) -> None:
        """Arrays sent to neighbours, and those that come from neighbours received in place: sizes are known."""
        ...

    def end(self, error: BaseException) -> None:
        """End all processes, since this one cannot go on and the others wait for it."""
        ...


class Alone:
    """One process: nobody to send to but oneself."""

    rank, size = 0, 1

    def reduce(self, values: NDArray, how: str) -> NDArray:
        return values

    def gather(self, value: Any) -> list[Any]:
        return [value]

    def swap(self, parts: Mapping[int, NDArray]) -> dict[int, NDArray]:
        return dict(parts)

    def trade(self, parts: Mapping[int, NDArray], into: Mapping[int, NDArray]) -> None:
        return None

    def end(self, error: BaseException) -> None:
        return None


@contextmanager
def together(ranks: Ranks) -> Iterator[None]:
    """Raise on all processes what one of them raises inside, where nothing may be sent or received.

    The process where it happened raises it as it is; the others one of the same class, if it takes a text, that says
    which process it was, else a `RanksError`.

    >>> with together(Alone()):
    ...     raise ValueError("Expected a number")
    Traceback (most recent call last):
        ...
    ValueError: Expected a number
    """
    mine: BaseException | None = None
    try:
        yield
    except Exception as error:
        mine = error
    if ranks.reduce(np.array([mine is not None], float), "max")[0] > 0:
        told = ranks.gather(None if mine is None else (type(mine), str(mine)))
        if mine is not None:
            mine.__dict__["agreed"] = True
            raise mine
        first = next(k for k, one in enumerate(told) if one is not None)
        kind, text = told[first]
        raise _as_told(kind, text, first)


@contextmanager
def or_end(ranks: Ranks) -> Iterator[None]:
    """End all processes where one has an error that the others do not know of, and would wait for ever."""
    try:
        yield
    except Exception as error:
        if not error.__dict__.get("agreed"):
            ranks.end(error)
        raise


def _as_told(kind: type[Exception], text: str, process: int) -> Exception:
    words = f"on process {process}: {text}"
    try:
        error = kind(words) if issubclass(kind, MeshmoveError | ValueError | TypeError) else RanksError(words)
    except TypeError:
        error = RanksError(words)
    error.__dict__["agreed"] = True
    return error


def same_everywhere(ranks: Ranks, said: Mapping[str, str]) -> None:
    """Raise on all processes unless all of them say the same of each thing.

    Raises
    ------
    RanksError
        It is not.
    """
    told = ranks.gather(dict(said))
    for what, first in told[0].items():
        other = next((k for k, one in enumerate(told) if one[what] != first), None)
        if other is not None:
            error = RanksError(
                f"Expected the same {what} on all processes (got {first:.200} on process 0, "
                f"{told[other][what]:.200} on process {other})"
            )
            error.__dict__["agreed"] = True
            raise error
