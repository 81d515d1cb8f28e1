"""Local repair: values within their bounds, where what is cut off goes to neighbours that have room for it."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from meshmove.communicator import SERIAL, Communicator
from meshmove.geometry.arrays import Array, Ids

__all__ = ["repaired"]

#: rounds of giving to neighbours; what is left after them goes wherever there is room
ROUNDS = 30
#: what is left to give, relative to all, and room, relative to the value, that is rounding
ROUNDING, FULL = 1e-16, 1e-14


def repaired(values: Array, mass: Array, ends: Ids, least: Array, most: Array, across: Communicator = SERIAL) -> Array:
    """Values (n, k) within bounds, with the same sum of mass times value (Shashkov & Wendroff, J. Comput. Phys. 198,
    2004).

    What lies outside is cut off and given to neighbours in proportion to the room that they have, and goes on from
    neighbour to neighbour until it finds room. Where the bounds leave none the rest stays: the sum comes first.

    Parameters
    ----------
    values
        (n, k).
    mass
        (n,) of each; those without any stay as they are.
    ends
        (2, p): pairs of neighbours.
    least, most
        (n, k).
    across
        The processes that share the vertices, of which this one has all neighbours of those that it owns.
    """
    heavy = mass > 0
    out = np.where(heavy[:, None], np.clip(values, least, most), values)
    m = np.where(heavy, mass, 1.0)[:, None]
    rest = m * (values - out)
    if across.every(not across.own(rest).any()):
        return out
    room = np.where(heavy, mass, 0.0)[:, None]
    full = FULL * room * across.maximum(np.abs(values).max(0, initial=0.0))
    scale = ROUNDING * across.sum(across.own(np.abs(m * values)).sum(0))
    for _ in range(ROUNDS):
        if (across.sum(across.own(np.abs(rest)).sum(0)) <= scale).all():
            return out + rest / m
        for sign, free in ((1.0, room * (most - out)), (-1.0, room * (out - least))):
            wish = np.maximum(sign * rest, 0)
            passed, taken = _given(wish, np.where(free > full, free, 0), ends, across)
            out = out + sign * taken / m
            rest = rest + sign * (passed - wish)
    return _anywhere(out, rest, room, least, most, ends, across)


def _given(wish: Array, room: Array, ends: Ids, across: Communicator) -> tuple[Array, Array]:
    """Of what each is to give (n, k): what it has got to pass on from its neighbours, and what it has taken itself."""
    n, (a, b) = len(wish), ends
    around = _sums(n, ends, room[b], room[a])
    count = (np.bincount(a, minlength=n) + np.bincount(b, minlength=n))[:, None]
    share = across.update(np.where(around > 0, np.minimum(wish / np.where(around > 0, around, 1), 1), 0))
    wanted = _sums(n, ends, share[b], share[a])  # of the room of each, by its neighbours
    fits = across.update(np.minimum(1 / np.maximum(wanted, 1), 1))
    rest = wish - share * _sums(n, ends, (room * fits)[b], (room * fits)[a])
    on = across.update(rest / np.maximum(count, 1))
    passed = across.update(np.where(count > 0, _sums(n, ends, on[b], on[a]), rest))
    return passed, across.update(room * wanted * fits)


def _anywhere(
    out: Array, rest: Array, room: Array, least: Array, most: Array, ends: Ids, across: Communicator
) -> Array:
    """What is left (n, k) is given to all of the same connected part in proportion to their room."""
    count, part = _connected(len(out), ends, across)

    def total_of(x: Array) -> Array:
        own = part[: len(across.own(x))]
        return across.sum(np.stack([np.bincount(own, column, count) for column in across.own(x).T], axis=1))

    left = total_of(rest)
    free = np.where(left[part] > 0, room * (most - out), room * (out - least))
    free = np.maximum(free, 0)
    total = total_of(free)
    given = np.sign(left) * np.minimum(np.abs(left), total)
    share = np.divide(given, total, out=np.zeros_like(left), where=total > 0)
    weight = total_of(room)
    lift = np.divide(left - given, weight, out=np.zeros_like(left), where=weight > 0)  # there is no room for all
    return out + share[part] * free / np.where(room > 0, room, 1) + np.where(room > 0, lift[part], 0)


def _connected(n: int, ends: Ids, across: Communicator) -> tuple[int, Ids]:
    """How many connected parts there are in all, and which one each vertex (n,) is in."""
    count, part = connected_components(csr_matrix((np.ones(ends.shape[1]), (ends[0], ends[1])), (n, n)), directed=False)
    if across.serial:
        return count, part
    label = np.zeros(n)  # the least number of the part, of vertices numbered through all processes
    own = across.own(label)
    own[:] = first = across.before(len(own)) + np.arange(len(own))
    while True:
        across.update(label)
        least = np.full(count, np.inf)
        np.minimum.at(least, part, label)
        same = np.array_equal(least[part], label)
        label = least[part]
        if across.every(same):
            break
    roots = first[across.own(label) == first]
    most = int(across.maximum(np.array(len(roots))))
    every = across.each(np.concatenate([roots, np.full(most - len(roots), np.inf)])).ravel()
    every = np.sort(every[np.isfinite(every)])
    return len(every), np.searchsorted(every, label)


def _sums(n: int, ends: Ids, first: Array, second: Array) -> Array:
    """(n, k): what the first and the second ends get, in all."""
    columns = zip(first.T, second.T, strict=True)
    return np.stack([np.bincount(ends[0], x, n) + np.bincount(ends[1], y, n) for x, y in columns], axis=1)
