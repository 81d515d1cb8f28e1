r"""Features that know corners and holes: powers and logarithms of one complex variable.

In z = s_X X + i s_Y Y, where the operator's principal part is the Laplacian, Re and Im of an analytic h(z) are
harmonic. A column is Re(e^{i phi} h(z) conj(z - a)^q), h = w^lambda or log(z - a), where

    w = (z - a)/(z - c)   or   -(z - a)/cut  (c at infinity).

At a re-entrant corner a with opening omega, solutions behave like r^lambda with lambda = k pi/omega, or
(k - 1/2) pi/omega where the condition changes kind (Grisvard, Elliptic Problems in Nonsmooth Domains, 1985). The cut
of w^lambda is the segment from a to c, or the ray from a, outside the domain in both cases; factors conj(z - a) serve
the terms of lower order. Negative powers and the logarithm at the middle of a hole are its Laurent series.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.arrays import Array

__all__ = ["Analytic"]

Complex = NDArray[np.complex128]


@dataclass(frozen=True)
class Analytic:
    """Columns Re(e^{i phi} h(z) conj(z - a)^q).

    Parameters
    ----------
    scale
        s_X and s_Y, positive, (2, size).
    a, c, cut, power, phase, conjugate
        Arrays of one length. `c` is NaN where w has no second point; then `cut`, of length 1, is the direction of the
        cut. Power 0 stands for the logarithm. `conjugate` is q, 0 or 1; -1 marks the columns h = w log w.

    >>> zero, none = np.zeros(1), np.array([complex(np.nan)])
    >>> log = Analytic(np.ones((2, 1)), a=zero + 0j, c=none, cut=zero + 1j, power=zero, phase=zero, conjugate=zero)
    >>> log.jets(np.array([[np.e], [0.0]]))[:, 0, 0].round(6) + 0
    array([ 1.      ,  0.367879,  0.      , -0.135335,  0.135335])
    """

    scale: Array
    a: Complex
    c: Complex
    cut: Complex
    power: Array
    phase: Array
    conjugate: Array

    @property
    def size(self) -> int:
        """Number of columns."""
        return len(self.a)

    @staticmethod
    def joined(parts: Sequence[Analytic]) -> Analytic:
        """The columns of several."""
        names = ("scale", "a", "c", "cut", "power", "phase", "conjugate")
        return Analytic(*(np.concatenate([getattr(p, n) for p in parts], axis=-1) for n in names))

    def jets(self, X: Array) -> Array:
        """Value, dX, dY, dXX, dYY of all columns at points (2, n), shape (5, size, n)."""
        sX, sY = self.scale[:, :, None]
        # columns that share a point share the logarithm, those that differ in phase only the power
        keys = np.stack([self.scale[0], self.scale[1], self.a, self.c, self.cut, self.power, self.conjugate], axis=1)
        _, first, which = np.unique(np.nan_to_num(keys, nan=9e9), axis=0, return_index=True, return_inverse=True)
        turn, which = np.exp(1j * self.phase)[:, None], which.ravel()
        f, fz, fzz, fb, fzb = ((turn * part[which]) for part in self._powers(X, first))
        jets = np.stack([f, sX * (fz + fb), sY * 1j * (fz - fb), sX**2 * (fzz + 2 * fzb), sY**2 * (2 * fzb - fzz)])
        return jets.real

    def _powers(self, X: Array, columns: NDArray[np.int64]) -> tuple[Complex, ...]:
        """h conj(z - a)^q with derivatives along z (two), conj(z), and both, (size, n) each."""
        points = np.stack([*self.scale, self.a, np.nan_to_num(self.c, nan=9e9), self.cut], axis=1)
        one = slice(0, 1) if (points == points[0]).all() else slice(None)
        at = columns[one]
        sX, sY = self.scale[:, at, None]
        d = sX * X[0] + 1j * sY * X[1] - self.a[at, None]
        d = np.where(np.abs(d) < 1e-9, 1e-9, d)
        far = np.isnan(self.c[at, None])
        turned = np.where(far, -self.cut[at, None].conj(), 1.0)
        e = np.where(far, 1.0, d + (self.a[at, None] - np.where(far, 0, self.c[at, None])))
        base = d * turned / e
        w, plain = np.log(base), np.log(d)
        over, over_c = 1 / d, np.where(far, 0.0, 1 / e)
        p, dp = over - over_c, over_c**2 - over**2
        power, q = self.power[columns, None], self.conjugate[columns, None]
        h = np.where(power == 0, plain, np.exp(power * w))
        dh = np.where(power == 0, over, h * power * p)
        ddh = np.where(power == 0, -(over**2), h * ((power * p) ** 2 + power * dp))
        if (q < 0).any():
            h = np.where(q < 0, base * w, h)
            dh = np.where(q < 0, base * p * (w + 1), dh)
            ddh = np.where(q < 0, base * (p**2 + (w + 1) * (p**2 + dp)), ddh)
        bar = np.where(q > 0, d.conj(), 1.0)
        return h * bar, dh * bar, ddh * bar, np.where(q > 0, h, 0.0), np.where(q > 0, dh, 0.0)
