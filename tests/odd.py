"""Values that no option is meant to get, and the law for all of them: it works, or the error says what was expected."""

import warnings
from decimal import Decimal
from fractions import Fraction

import numpy as np
import torch

from meshmove import MeshmoveError

VALUES = [
    None, True, 0, -1, 3, 2.5, 10**400, 10**12, np.nan, np.inf, -np.inf, 1 + 2j, "1", "", "a/b", "\0", b"b", [], (), {},
    [1, 2], ["a"], ("a",), {"u": 1}, {"a"}, [[1, 2], [3]], object(), int, slice(3), Ellipsis, range(3),
    lambda x: 1.0, lambda: 1, Decimal("0.5"), Fraction(1, 3), np.int8(2), np.float32(0.5), 1e308, 1e-320,
    np.array(1.0), np.array([]), np.array([0.5, 1, 2]), np.array("x"), np.zeros((2, 3)), np.full((2, 4), np.nan),
    np.array([1, 2, 3], dtype=object), np.datetime64("2026-01-01"), np.ma.masked, np.ma.masked_all(3),
    torch.tensor(2.0), torch.ones(3, requires_grad=True),
]  # fmt: skip


def works_or_says_why(call):
    """The result of a call, or None where a documented error says what was expected."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call()
    except (MeshmoveError, ValueError) as error:
        assert str(error).startswith("Expected "), f"{type(error).__name__}: {error}"
    return None


def each_option_works_or_says_why(function, good, only=None):
    """All of `VALUES`, one after the other, for each of the options that are good as given."""
    for name in only or good:
        for value in VALUES:
            options = {**good, name: value}
            try:
                works_or_says_why(lambda o=options: function(**o))
            except Exception as error:
                raise AssertionError(f"{name}={value!r:.60}: {type(error).__name__}: {error}") from error
