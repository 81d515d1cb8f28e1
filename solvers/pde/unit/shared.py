"""What problems on the same domain have in common, whatever their operators: made once while the domain lives."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from numpy.typing import NDArray

from meshmove.geometry.domains import Domain

__all__ = ["shared"]

_KEPT = 24  #: of each domain, those asked for last: some for each grid on the way to a solution
_KNOWN: WeakKeyDictionary[Domain, OrderedDict[Hashable, Any]] = WeakKeyDictionary()
Arrays = TypeVar("Arrays", bound=tuple[NDArray[Any], ...])


def shared(domain: Domain, key: Hashable, make: Callable[[], Arrays]) -> Arrays:
    """The arrays that `make` gives, the same ones whenever the same domain and key come; they cannot be written to.

    >>> from meshmove.geometry import Rectangle
    >>> import numpy as np
    >>> square = Rectangle((0, 0), (1, 1))
    >>> first, again = (shared(square, "corner", lambda: (np.zeros(2),)) for _ in range(2))
    >>> first[0] is again[0]
    True
    """
    known = _KNOWN.setdefault(domain, OrderedDict())
    found: Arrays | None = known.pop(key, None)
    if found is None:
        found = make()
        for array in found:
            array.setflags(write=False)
    known[key] = found
    while len(known) > _KEPT:
        known.popitem(last=False)
    return found
