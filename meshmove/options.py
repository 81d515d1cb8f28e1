"""Options by name, and what else users hand over (`geometry.given`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from meshmove.geometry.given import as_numbers, called, count, number, shown

__all__ = ["as_numbers", "called", "check_names", "count", "number", "shown"]


def check_names(options: Mapping[str, Any], known: Iterable[str], of: str) -> None:
    """Raise ValueError for options by a name that is not known.

    >>> check_names({"montior": "gradient"}, ["monitor", "mover"], "adapt")
    Traceback (most recent call last):
    ValueError: Expected options of adapt: monitor, mover (got 'montior'; did you mean 'monitor'?)
    """
    names = list(known)
    for name in options:
        if name not in names:
            close = get_close_matches(name, names, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"Expected options of {of}: {', '.join(names)} (got {name!r}{hint})")
