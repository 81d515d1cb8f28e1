"""What a follower knows from one step to the next, and how a step went."""

from __future__ import annotations

from dataclasses import dataclass, field

from meshmove.geometry.arrays import Array

from .course import Course, Place
from .pace import Pace, Seen

__all__ = ["State", "Went"]


@dataclass(frozen=True, eq=False)
class State:
    """All that a follower knows from one step to the next, in unit coordinates.

    `points` (n, dim): the nodes. `place`: where they should be, None before the first field. `seen`: the field before.
    `rate`: with which they followed, and the one that it fades with, `fading`. `dt`: the last step. `drag`: the rate at
    which a moving boundary took nodes along in it, against the field. `course`: on which the place goes on.
    """

    points: Array
    place: Place | None = None
    seen: Seen | None = None
    rate: float = 0.0
    fading: float = 0.0
    dt: float = 1.0
    drag: float = 0.0
    course: Course = field(default_factory=Course)


@dataclass(frozen=True)
class Went:
    """How a step went: time constant, pace of the field, share of the step that was taken, steps of descent."""

    tau: float
    pace: Pace | None
    share: float
    steps: tuple[int, int]
    warnings: tuple[str, ...] = ()
