"""Numbers and counts, whatever is handed over for one."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np

__all__ = ["as_float", "count", "number", "shown"]


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
