"""What every piece of a domain's boundary carries: its rows, each a kind and a value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.domains import Domain

from .conditions import Condition, Dirichlet, Robin
from .functions import Array, Function, ProblemError, evaluate

__all__ = ["DIRICHLET", "NEUMANN", "ROBIN", "VELOCITY", "Row", "Side", "is_box", "sides_of"]

DIRICHLET, NEUMANN, VELOCITY, ROBIN = 0, 1, 2, 3


class Row(NamedTuple):
    """One condition on a piece: u, du/dn, du/dt or du/dn + share u is `value`; `what` tells messages of its origin."""

    kind: int
    value: Function
    what: str
    share: Function = 0.0


class Side(NamedTuple):
    """Conditions on one piece of the boundary; `time` is "start", "end" or "" (a side in space)."""

    name: str
    rows: tuple[Row, ...]
    time: str


def is_box(domain: Domain) -> bool:
    """Whether the domain is its own bounding box.

    >>> from meshmove.geometry import Disk, Rectangle
    >>> is_box(Rectangle((0, 0), (2, 1))), is_box(Disk((0, 0), 1))
    (True, False)
    """
    (x0, y0), (x1, y1) = domain.bounds
    return abs(domain.area - (x1 - x0) * (y1 - y0)) <= 1e-9 * domain.area


def at_times(domain: Domain) -> NDArray[np.str_]:
    """Which pieces are the first time (the lower side of the bounding box) or the last, (pieces,)."""
    (_, low), (_, high) = domain.bounds
    slack = 1e-7 * domain.boundary.extent
    heights, straight = domain.boundary.ends[1], np.array([p.straight for p in domain.boundary.pieces])
    first = straight & (np.abs(heights - low) <= slack).all(0)
    last = straight & (np.abs(heights - high) <= slack).all(0)
    return np.where(first, "start", np.where(last, "end", ""))


def sides_of(
    domain: Domain,
    conditions: Mapping[str, Condition],
    timed: bool,
    initial: Function | None,
    velocity: Function | None,
) -> tuple[Side, ...]:
    """One `Side` for every piece of the boundary, with no rows where no condition is given."""
    pieces = domain.boundary.pieces
    times = at_times(domain) if timed else np.full(len(pieces), "")
    _check_names(domain, conditions, times, initial is not None)
    return tuple(
        Side(p.name, _rows(p.name, str(t), conditions.get(p.name), initial, velocity), str(t))
        for p, t in zip(pieces, times, strict=True)
    )


def _rows(
    name: str,
    time: str,
    condition: Condition | None,
    initial: Function | None,
    velocity: Function | None,
) -> tuple[Row, ...]:
    if time == "end":
        return ()
    rows = []
    if time == "start" and initial is not None:
        rows.append(Row(DIRICHLET, initial, "the initial value"))
    elif isinstance(condition, Robin):
        if time == "start":
            raise ProblemError(
                f"Expected a value, or a velocity, at the first time (got a Robin condition on {name!r}); "
                "use initial= and velocity="
            )
        rows.append(_robin(name, condition))
    elif condition is not None:
        kind = DIRICHLET if isinstance(condition, Dirichlet) else NEUMANN
        word = "Dirichlet" if kind == DIRICHLET else "Neumann"
        if time == "start" and kind == NEUMANN:  # du/dn with n = -e_t
            value = condition.value
            down = (lambda x: -np.asarray(value(x))) if callable(value) else -value
            rows.append(Row(VELOCITY, down, f"the Neumann value on {name!r}"))
        else:
            rows.append(Row(kind, condition.value, f"the {word} value on {name!r}"))
    if time == "start" and velocity is not None:
        rows.append(Row(VELOCITY, velocity, "the initial velocity"))
    return tuple(rows)


def _robin(name: str, condition: Robin) -> Row:
    """The condition divided by beta."""
    alpha, beta, value = condition.alpha, condition.beta, condition.value

    def over_beta(f: Function, word: str) -> Function:
        if not callable(f) and not callable(beta):
            return f / beta

        def divided(x: Array) -> Array:
            below = evaluate(beta, x, f"beta of the Robin condition on {name!r}")
            if not below.all():
                at = ", ".join(f"{c:.6g}" for c in x[:, np.flatnonzero(below == 0)[0]])
                raise ProblemError(f"Expected beta other than zero on {name!r} (got 0 at the point ({at}))")
            return evaluate(f, x, f"{word} of the Robin condition on {name!r}") / below

        return divided

    what = f"the Robin condition on {name!r}"
    return Row(ROBIN, over_beta(value, "the value"), what, over_beta(alpha, "alpha"))


def _check_names(domain: Domain, conditions: Mapping, times: NDArray[np.str_], has_initial: bool) -> None:
    known = domain.boundary_names
    unknown = [str(n) for n in conditions if n not in known]
    if unknown:
        raise ProblemError(
            f"Expected conditions on the boundaries {', '.join(map(repr, known))} "
            f"(got one on {', '.join(map(repr, unknown))})"
        )
    labels = np.array([p.name for p in domain.boundary.pieces])
    for name in conditions:
        here = set(times[labels == name].tolist())
        if here == {"end"}:
            raise ProblemError(
                f"Expected no condition at the last time (got one on {name!r}, the upper side in time); leave it out"
            )
        if here == {"start"} and has_initial:
            raise ProblemError(
                f"Expected the value at the first time once (got initial= and a condition on {name!r}); leave one out"
            )
