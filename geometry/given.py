"""Reading what users hand over: numbers, counts, arrays, names, functions. Whatever comes, the error says what was
expected and what came."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import Array
from .errors import FieldError, MeshmoveError, first_ids

__all__ = [
    "as_float",
    "as_numbers",
    "by_name",
    "called",
    "chosen",
    "count",
    "generator",
    "integers",
    "as_list",
    "names",
    "number",
    "path_of",
    "real",
    "shown",
]


#: what calls itself a number and is none
_NO_NUMBERS = (bool, np.bool_, np.timedelta64)


def number(
    value: Any,
    what: str,
    low: float = 0.0,
    high: float = np.inf,
    open_low: bool = True,
    error: type[ValueError] = ValueError,
) -> float:
    """A finite number above `low` (or from `low` on) and up to `high`; arrays without a dimension count.

    Raises
    ------
    ValueError
        (or `error`) Anything else: text, a truth value, an array, a number out of range, one too large for a float.

    Examples
    --------
    >>> number(2, "a positive effort")
    2.0
    >>> number(10**400, "a positive effort")
    Traceback (most recent call last):
    ValueError: Expected a positive effort (got an integer of 401 digits)
    """
    found = as_float(value)
    if not (np.isfinite(found) and (found > low or (found == low and not open_low)) and found <= high):
        most = f"; at most {high:g}" if np.isfinite(high) else ""
        raise error(f"Expected {what} (got {shown(value)}){most}")
    return found


def as_float(value: Any) -> float:
    """A real number as a float; NaN for what is none: truth values, text, numbers too large for a float.

    >>> as_float(np.array(2)), as_float(10**400), as_float("2")
    (2.0, nan, nan)
    """
    bare = value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value
    if isinstance(bare, _NO_NUMBERS) or not isinstance(bare, Real):
        return float("nan")
    try:
        return float(bare)
    except (OverflowError, ValueError):
        return float("nan")


def count(value: Any, what: str, low: int = 0, high: int = 1_000_000, error: type[ValueError] = ValueError) -> int:
    """A whole number from `low` to `high`; 3.0 is none.

    >>> count(2.5, "a number of steps", low=1)
    Traceback (most recent call last):
    ValueError: Expected a number of steps (got 2.5); a whole number from 1 on
    """
    found = int(value) if isinstance(value, Integral) and not isinstance(value, _NO_NUMBERS) else None
    if found is None or not low <= found <= high:
        upto = f"to {high:,}" if found is not None and found > high else "on"
        raise error(f"Expected {what} (got {shown(value)}); a whole number from {low} {upto}")
    return found


def shown(value: Any) -> str:
    """A value for an error message, however large it is."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**20:
        size, digits = abs(value), int(np.log10(2) * (value.bit_length() - 1))
        return f"an integer of {digits + 1 + (size >= 10 ** (digits + 1))} digits"
    if isinstance(value, np.ndarray) and value.ndim:
        return f"an array of shape {value.shape}"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def as_numbers(
    values: Any, what: str, expected: str = "numbers in an array", error: type[MeshmoveError] = FieldError
) -> NDArray:
    """Values of a user as an array of numbers; never one that silently leaves something out.

    Raises
    ------
    FieldError
        (or `error`) Masked entries, sparse matrices, tensors that require gradients or are on another device, rows
        of different lengths, objects and text.

    Examples
    --------
    >>> from meshmove.geometry.errors import MeshmoveError
    >>> try:
    ...     as_numbers(np.ma.masked_greater([1.0, 2.0, 3.0], 1.5), "the field")
    ... except MeshmoveError as error:
    ...     print(error)
    Expected values everywhere in the field (masked at 2 nodes: 1, 2). Fill them first, such as by field.filled(0)
    """
    if isinstance(values, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(values)
        bad = np.unique(np.nonzero(mask)[0]) if mask.ndim else np.flatnonzero(mask)
        if len(bad):
            raise error(
                f"Expected values everywhere in {what} (masked at {len(bad)} nodes: {first_ids(bad)}). "
                "Fill them first, such as by field.filled(0)"
            )
        values = values.data
    kind = type(values).__name__
    if hasattr(values, "toarray") and not hasattr(values, "__array__"):
        raise error(f"Expected {what} as {expected} (got a sparse {kind}). Pass its .toarray()")
    if getattr(values, "requires_grad", False) is True:
        raise error(f"Expected {what} as {expected} (got a {kind} that requires gradients). Pass its .detach()")
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError, OverflowError) as why:
        raise error(f"Expected {what} as {expected} (got a {kind} that is none: {_first_line(why)})") from None
    if array.dtype.kind not in "fciub":
        of = f" of {array.dtype}" if isinstance(values, np.ndarray) else ""
        raise error(f"Expected {what} as {expected} (got {kind}{of})")
    return array


def real(
    values: Any, what: str, expected: str = "numbers in an array", error: type[MeshmoveError] = FieldError
) -> Array:
    """The same as float64; an array of floats as it is, without a copy.

    Raises
    ------
    FieldError
        (or `error`) As `as_numbers`, and complex numbers.

    >>> real([1, 2], "the field")
    array([1., 2.])
    """
    if type(values) is np.ndarray and values.dtype == np.float64:
        return values
    array = as_numbers(values, what, expected, error)
    if array.dtype.kind == "c":
        raise error(f"Expected {what} as {expected} (got complex ones, {array.dtype})")
    with np.errstate(over="ignore"):  # long doubles beyond float64 are infinite there
        return array.astype(float)


def integers(
    values: Any, what: str, expected: str = "whole numbers", error: type[MeshmoveError] = FieldError
) -> NDArray[np.int64]:
    """Whole numbers as int64, which none is rounded to.

    Raises
    ------
    FieldError
        (or `error`) As `as_numbers`; truth values, fractions, and numbers that int64 does not hold.

    >>> integers([0.0, 2.0], "ids")
    array([0, 2])
    """
    array = as_numbers(values, what, expected, error)
    if array.dtype.kind == "f" or not array.size:
        whole = np.isfinite(array) & (array == np.floor(array)) & (np.abs(array) <= 2.0**53)
        if whole.all():
            return array.astype(np.int64)
    elif array.dtype.kind == "i" or (array.dtype.kind == "u" and array.max() < 2**63):
        return array.astype(np.int64, copy=False)
    raise error(f"Expected {expected} as {what} (got {array.dtype} of shape {array.shape} with others)")


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


def called(
    function: Callable[[NDArray], Any], x: NDArray, what: str, error: type[MeshmoveError] = FieldError
) -> NDArray:
    """A copy of what a function of a user returns at points x (dim, n), which it may write to.

    Raises
    ------
    FieldError
        (or `error`) The function fails as one does that expects other points, or returns what are no numbers.
    """
    shape = x.shape
    try:
        values = function(x)
    except MeshmoveError:
        raise
    except (AttributeError, IndexError, TypeError, ValueError) as why:
        kind = type(why).__name__
        raise error(
            f"Expected {what} to take x of shape {shape}, a point a column (it raised {kind}: {_first_line(why)})"
        ) from why
    return np.array(as_numbers(values, f"the values of {what}", error=error))


def _first_line(why: Exception) -> str:
    return (str(why).splitlines() or [type(why).__name__])[0].rstrip(".")
