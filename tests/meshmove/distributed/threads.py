"""Processes that are threads: they pass messages through a table, and wait for each other."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

#: seconds after which processes that wait for one that does not come give up
PATIENCE = 60


class ThreadRanks:
    """One of `size` threads; see `meshmove.distributed.Ranks`."""

    def __init__(self, rank: int, size: int, table: list[Any], barrier: threading.Barrier) -> None:
        self.rank, self.size, self._table, self._barrier = rank, size, table, barrier

    def gather(self, value: Any) -> list[Any]:
        self._barrier.wait(PATIENCE)
        self._table[self.rank] = value
        self._barrier.wait(PATIENCE)
        return list(self._table)

    def reduce(self, values, how):
        every = np.stack(self.gather(np.array(values)))
        return {"sum": np.sum, "max": np.max, "min": np.min}[how](every, axis=0)

    def swap(self, parts):
        every = self.gather({k: np.array(v) for k, v in parts.items()})
        return {k: sent[self.rank] for k, sent in enumerate(every) if self.rank in sent}

    def trade(self, parts, into):
        came = self.swap(parts)
        assert sorted(came) == sorted(into)
        for k, values in into.items():
            assert values.shape == came[k].shape
            values[...] = came[k]

    def end(self, error):
        self._barrier.abort()


def on_ranks(size, function, *arguments):
    """What `function(ranks, *arguments of this process)` gives on each, with exceptions in their place."""
    table, barrier = [None] * size, threading.Barrier(size)

    def run(rank):
        ranks = ThreadRanks(rank, size, table, barrier)
        try:
            return function(ranks, *(a[rank] for a in arguments))
        except Exception as error:
            if not error.__dict__.get("agreed"):
                barrier.abort()
            return error

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(run, range(size)))


def whole(outs, pieces):
    """Positions of a whole mesh from those of its pieces."""
    n = 1 + max(p.global_ids.max() for p in pieces)
    points = np.full((n, pieces[0].dim), np.nan)
    for out, piece in zip(outs, pieces, strict=True):
        points[piece.global_ids[: piece.n_owned]] = out.points[: piece.n_owned]
    return points
