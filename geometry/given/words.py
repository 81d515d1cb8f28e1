"""Names, choices, lists, paths and seeds."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .numbers import shown

__all__ = ["as_list", "by_name", "chosen", "generator", "names", "path_of"]


def names(value: Any, what: str, error: type[ValueError] = ValueError) -> tuple[str, ...]:
    """Names, one or several of them, each a text that is not empty.

    >>> names("wall", "the names"), names(["inlet", "outlet"], "the names")
    (('wall',), ('inlet', 'outlet'))
    >>> names([1], "the names")
    Traceback (most recent call last):
    ValueError: Expected the names as text that is not empty (got [1])
    """
    try:
        found = (value,) if isinstance(value, str) else tuple(value)
    except (TypeError, RuntimeError):
        found = (None,)
    if not all(isinstance(name, str) and name for name in found):
        raise error(f"Expected {what} as text that is not empty (got {shown(value)})")
    return found


def chosen(value: Any, choices: Iterable[str], what: str, error: type[ValueError] = ValueError) -> str:
    """One of some words.

    >>> chosen("up", ("left", "right"), "a side")
    Traceback (most recent call last):
    ValueError: Expected a side among 'left', 'right' (got 'up')
    """
    words = list(choices)
    if not isinstance(value, str) or value not in words:
        raise error(f"Expected {what} among {', '.join(map(repr, words))} (got {shown(value)})")
    return value


def by_name(value: Any, what: str, error: type[ValueError] = ValueError) -> Mapping[str, Any]:
    """What is given by name, in a dict or the like; none for None.

    >>> by_name(None, "fields"), by_name({"u": 1}, "fields")
    ({}, {'u': 1})
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise error(f"Expected {what} by name, in a dict (got {shown(value)})")
    return value


def as_list(value: Any, what: str, error: type[ValueError] = ValueError) -> list[Any]:
    """Several things as a list.

    >>> as_list(3, "meshes")
    Traceback (most recent call last):
    ValueError: Expected meshes in a list (got 3)
    """
    try:
        if isinstance(value, str | bytes | Mapping):
            raise TypeError
        return list(value)
    except (TypeError, RuntimeError):
        raise error(f"Expected {what} in a list (got {shown(value)})") from None


def path_of(value: Any, what: str, error: type[ValueError] = ValueError) -> Path:
    """A path from text, or what stands for one.

    >>> path_of(None, "a file")
    Traceback (most recent call last):
    ValueError: Expected the path of a file (got None)
    """
    try:
        text = os.fsdecode(value)
    except TypeError:
        text = "\0"
    if "\0" in text:
        raise error(f"Expected the path of {what} (got {shown(value)})")
    return Path(text)


def generator(seed: Any, error: type[ValueError] = ValueError) -> np.random.Generator:
    """A stream of random numbers from a seed in any form that NumPy takes.

    >>> generator(-1)
    Traceback (most recent call last):
    ValueError: Expected a seed, a whole number from 0 on, several, or a generator of NumPy's (got -1)
    """
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError):
        what = "a seed, a whole number from 0 on, several, or a generator of NumPy's"
        raise error(f"Expected {what} (got {shown(seed)})") from None
