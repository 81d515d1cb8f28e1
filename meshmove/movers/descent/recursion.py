"""The inverse Hessian of limited-memory BFGS times the gradient, from the steps of the past.

Nocedal's two-loop recursion, with the linear map `lift`, K^-1 per component, as the initial inverse Hessian. Gradients
are lifted once each: what else is needed of K^-1 is linear in lifted gradients.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from meshmove.communicator import Communicator
from meshmove.geometry.arrays import Array
from meshmove.geometry.sliding import Slide

__all__ = ["InProducts", "Pair", "Recursion", "TwoLoops"]

#: a step, the change of the gradient over it, that change lifted, and the product of the first two
Pair = tuple[Array, Array, Array, float]

#: a step and the change of the gradient with a smaller cosine than this: the energy curves downwards
CURVED = 1e-14


class Recursion(Protocol):
    """The last few pairs of a descent, and where it is."""

    @property
    def empty(self) -> bool: ...

    def begin(self, gradient: Array, lifted: Array) -> None:
        """At a start with this gradient (n, dim), and what it is lifted to."""
        ...

    def direction(self) -> tuple[Array, float]:
        """What is to be gone against, (n, dim), and the slope of the energy along it."""
        ...

    def learn(self, step: Array, gradient: Array, lifted: Array) -> bool:
        """That a step led to another gradient; False where the energy curves downwards along it."""
        ...

    def forget(self) -> None:
        """All pairs, to begin again with steepest descent."""
        ...


class TwoLoops:
    """The recursion on vectors of one process. `past`: pairs to begin with; it is added to in place."""

    def __init__(self, slide: Slide, past: list[Pair], memory: int, scaled: bool) -> None:
        self._slide, self._past, self._memory, self._scaled = slide, past, memory, scaled

    @property
    def empty(self) -> bool:
        return not self._past

    def begin(self, gradient: Array, lifted: Array) -> None:
        self._gradient, self._lifted = gradient, lifted

    def direction(self) -> tuple[Array, float]:
        rest, direction, coefficients = self._gradient.copy(), self._lifted.copy(), []
        for s, y, up, sy in reversed(self._past):
            a = np.vdot(s, rest) / sy
            coefficients.append(a)
            rest -= a * y
            direction -= a * up
        direction = self._slide.spread(direction)
        if self._past and self._scaled:
            _, y, up, sy = self._past[-1]
            direction *= sy / np.vdot(y, up)
        for (s, y, _, sy), a in zip(self._past, reversed(coefficients), strict=True):
            direction += s * (a - np.vdot(y, direction) / sy)
        return direction, float(np.vdot(self._gradient, direction))

    def learn(self, step: Array, gradient: Array, lifted: Array) -> bool:
        pair = self._pair(step, gradient - self._gradient, lifted - self._lifted)
        self.begin(gradient, lifted)
        if pair is None:
            return False
        self._past.append(pair)
        del self._past[: -self._memory]
        return True

    def _pair(self, s: Array, y: Array, up: Array) -> Pair | None:
        tied = self._slide.tied[0]
        if len(tied):
            s = s.copy()
            s[tied] = 0
        sy = float(np.vdot(s, y))
        return (s, y, up, sy) if sy > CURVED * np.sqrt(np.vdot(s, s) * np.vdot(y, y)) else None

    def forget(self) -> None:
        self._past.clear()


class InProducts:
    """The recursion on products of vectors, which many processes find together by one reduction a step.

    All that the two loops need of the vectors are products of pairs with each other and with the gradient, and a
    direction is a combination of lifted vectors and steps (Chen, Wang & Zhou, Large-scale L-BFGS using MapReduce, NIPS
    2014). Where nodes glide on curves, whose tangents turn, it differs by that from `TwoLoops`.

    `past`: as for `TwoLoops`; the same number of pairs on all processes.
    """

    def __init__(self, across: Communicator, slide: Slide, past: list[Pair], memory: int, scaled: bool) -> None:
        self._slide, self._across, self._memory, self._scaled = slide, across, memory, scaled
        self._past = past
        self._sy = np.zeros((0, 0))  # of steps with changes of the gradient
        self._yu = np.zeros((0, 0))  # of these with lifted ones
        self._sg = self._yl = np.zeros(0)  # of steps with the gradient, of its changes with the lifted one

    def forget(self) -> None:
        self._past.clear()
        self._sy, self._yu = np.zeros((0, 0)), np.zeros((0, 0))
        self._sg = self._yl = np.zeros(0)

    @property
    def empty(self) -> bool:
        return not self._past

    def begin(self, gradient: Array, lifted: Array) -> None:
        self._gradient, self._lifted = gradient, lifted
        own, m = self._across.own, len(self._past)
        s, y, up = ([own(pair[k]) for pair in self._past] for k in range(3))
        local = [np.vdot(own(gradient), own(lifted))]
        local += [np.vdot(a, own(gradient)) for a in s] + [np.vdot(b, own(lifted)) for b in y]
        local += [np.vdot(a, b) for a in s for b in y] + [np.vdot(b, c) for b in y for c in up]
        sums = self._across.sum(np.array(local))
        self._gl, self._sg, self._yl = float(sums[0]), sums[1 : m + 1], sums[m + 1 : 2 * m + 1]
        self._sy, self._yu = sums[2 * m + 1 :].reshape(2, m, m)

    def _coefficients(self) -> tuple[float, Array, Array]:
        """The direction is c (lifted - sum a up) + sum b s: c, a, b."""
        m, sy = len(self._past), np.diag(self._sy)
        a, b = np.zeros(m), np.zeros(m)
        for i in reversed(range(m)):
            a[i] = (self._sg[i] - self._sy[i] @ a) / sy[i]
        scale = float(sy[-1] / self._yu[-1, -1]) if m and self._scaled else 1.0
        along = scale * (self._yl - self._yu @ a)
        for i in range(m):
            b[i] = a[i] - (along[i] + self._sy[:, i] @ b) / sy[i]
        return scale, a, b

    def direction(self) -> tuple[Array, float]:
        scale, a, b = self._coefficients()
        direction = self._lifted.copy()
        for share, (_, _, up, _) in zip(a, self._past, strict=True):
            direction -= share * up
        direction = self._slide.spread(direction)
        direction *= scale
        for share, (s, _, _, _) in zip(b, self._past, strict=True):
            direction += share * s
        return direction, float(scale * (self._gl - self._yl @ a) + self._sg @ b)

    def learn(self, step: Array, gradient: Array, lifted: Array) -> bool:
        y, up = gradient - self._gradient, lifted - self._lifted
        steps, changes = [*(p[0] for p in self._past), step], [*(p[1] for p in self._past), y]
        own = self._across.own
        local = [np.vdot(own(s), own(v)) for v in (y, gradient) for s in steps]
        local += [np.vdot(own(c), own(v)) for v in (step, up, lifted) for c in changes]
        local += [np.vdot(own(gradient), own(lifted)), np.vdot(own(step), own(step)), np.vdot(own(y), own(y))]
        *products, self._gl, ss, yy = self._across.sum(np.array(local))
        sy, sg, ys, yu, yl = np.reshape(products, (5, len(steps)))
        self._gradient, self._lifted = gradient, lifted
        if not sy[-1] > CURVED * np.sqrt(ss * yy):
            self._sg, self._yl = sg[:-1], yl[:-1]
            return False
        self._past.append((step, y, up, float(sy[-1])))
        self._sy = np.block([[self._sy, sy[:-1, None]], [ys[None, :]]])
        self._yu = np.block([[self._yu, yu[:-1, None]], [yu[None, :]]])
        self._sg, self._yl = sg, yl
        if len(self._past) > self._memory:
            del self._past[0]
            self._sy, self._yu, self._sg, self._yl = self._sy[1:, 1:], self._yu[1:, 1:], sg[1:], yl[1:]
        return True
