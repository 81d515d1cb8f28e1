"""Values at the nodes of a piece of a mesh: sums over all pieces, and exchange between owners and ghosts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from meshmove.geometry.arrays import Array, Ids

from .ranks import Ranks

__all__ = ["Layout", "by_process"]


T = TypeVar("T")


class _Anew(Exception):
    """Values that were missing are at hand now."""


class Layout:
    """The `Communicator` of processes that each hold some nodes: those that they own first, then ghosts.

    Parameters
    ----------
    ranks
        What passes messages.
    ids
        Global numbers (n,) of the nodes.
    owners
        Process that owns each (n,): this one for the first `n_owned`.

    `exchanges`, `reductions`, `evaluations` of what depends on node positions: how many there have been.
    """

    serial = False

    def __init__(self, ranks: Ranks, ids: Ids, owners: Ids, n_owned: int) -> None:
        self.ranks, self.ids, self.n_owned = ranks, ids, n_owned
        self.alone = ranks.size == 1
        self.exchanges = self.reductions = self.evaluations = 0
        self._settling = self._asked = self._missing = False
        self._fetch: Callable[[], Any] | None = None
        self._ghosts = {k: rows + n_owned for k, rows in by_process(owners[n_owned:]).items()}
        asked = ranks.swap({k: ids[rows] for k, rows in self._ghosts.items()})
        order = np.argsort(ids[:n_owned], kind="stable")
        #: of each process that has ghosts of nodes of this one, their rows here
        self._shared = {k: order[np.searchsorted(ids[order], wanted)] for k, wanted in sorted(asked.items())}

    def sum(self, values: Array) -> Array:
        if not self._settling:
            return self._reduced(values, "sum")
        out = self._reduced(np.append(values, float(self._missing)), "sum")
        self._asked = False
        if out[-1]:
            self._renew()
        return out[:-1].reshape(np.shape(values))

    def maximum(self, values: Array) -> Array:
        return self._reduced(values, "max")

    def minimum(self, values: Array) -> Array:
        return self._reduced(values, "min")

    def every(self, flag: bool) -> bool:
        return bool(self._reduced(np.array(float(flag)), "min") > 0)

    def _reduced(self, values: Array, how: str) -> Array:
        self.reductions += 1
        return self.ranks.reduce(np.asarray(values, float), how)

    def each(self, values: Array) -> Array:
        every = np.zeros((self.ranks.size, *values.shape))
        every[self.ranks.rank] = values
        return self.sum(every)

    def before(self, count: int) -> int:
        return int(self.each(np.array([count], float))[: self.ranks.rank].sum())

    def first(self, flags: Sequence[bool]) -> int | None:
        if not len(flags):
            return None
        found = np.flatnonzero(self.minimum(np.array(flags, float)))
        return int(found[0]) if len(found) else None

    def settled(self, evaluate: Callable[[], T]) -> T:
        if self._settling:
            return evaluate()
        self.evaluations += 1
        self._settling = True
        try:
            while True:
                try:
                    out = evaluate()
                    if self._asked:  # no sum has told the others
                        self.sum(np.zeros(0))
                    return out
                except _Anew:
                    continue
        finally:
            self._settling = False

    def lacks(self, missing: bool, fetch: Callable[[], Any]) -> bool:
        """Say whether values are missing here, which all processes `fetch` together; tell whether they have done so.

        Within `settled` the next sum tells the others, and nothing is done until then.
        """
        if self._settling:
            self._asked, self._fetch = True, fetch
            self._missing |= missing
            return False
        if self.every(not missing):
            return False
        fetch()
        return True

    def _renew(self) -> None:
        assert self._fetch is not None
        self._missing = False
        self._fetch()
        raise _Anew

    def own(self, values: Array) -> Array:
        return values[: self.n_owned]

    def dot(self, a: Array, b: Array) -> float:
        return float(self.sum(np.asarray(np.vdot(self.own(a), self.own(b)))))

    def update(self, values: Array) -> Array:
        self.exchanges += 1
        got = {k: np.empty((len(rows), *values.shape[1:]), values.dtype) for k, rows in self._ghosts.items()}
        self.ranks.trade({k: values[rows] for k, rows in self._shared.items()}, got)
        for k, rows in self._ghosts.items():
            values[rows] = got[k]
        return values

    def accumulate(self, values: Array) -> Array:
        self.exchanges += 1
        got = {k: np.empty((len(rows), *values.shape[1:]), values.dtype) for k, rows in self._shared.items()}
        self.ranks.trade({k: values[rows] for k, rows in self._ghosts.items()}, got)
        for k, rows in self._shared.items():  # one process after the other: the sum does not depend on who came first
            values[rows] += got[k]
        values[self.n_owned :] = 0
        return values


def by_process(process: Ids) -> dict[int, Ids]:
    """Rows of each process among (n,), by process."""
    order = np.argsort(process, kind="stable")
    found, first = np.unique(process[order], return_index=True)
    return {int(k): rows for k, rows in zip(found, np.split(order, first[1:]), strict=True)} if len(order) else {}
