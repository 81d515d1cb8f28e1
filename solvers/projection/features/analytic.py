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

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.arrays import Array, Ids

__all__ = ["Analytic"]

Complex = NDArray[np.complex128]
#: h conj(z - a)^q, its derivatives along z, and along conj(z) where there are some
Parts = tuple[Complex, Complex, Complex, Complex | None, Complex | None]

_ROUNDING = 1e-15


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
        out = np.empty((5, self.size, X.shape[1]))
        # columns that share a point share logarithms, those that differ in phase only the power
        for point in _alike(np.arange(self.size), *self.scale, self.a, self.c, self.cut):
            powers = self._powers(X, int(point[0]))
            for same in _alike(point, self.power, self.conjugate):
                parts = powers(float(self.power[same[0]]), int(self.conjugate[same[0]]))
                for column in same:
                    self._turned(out[:, column], parts, column)
        return out

    def _turned(self, out: Array, parts: Parts, column: int) -> None:
        """Writes the real parts (5, n) of one column into `out`."""
        (sX, sY), phase = self.scale[:, column], self.phase[column]
        real, imag = np.cos(phase), -np.sin(phase)
        if abs(real) < _ROUNDING or abs(imag) < _ROUNDING:  # as of Re and Im alone, which need no product
            real, imag = np.round(real), np.round(imag)

        def part(z: Complex, real: float, imag: float) -> Array:
            """real Re z + imag Im z."""
            if imag == 0:
                return real * z.real
            return imag * z.imag if real == 0 else real * z.real + imag * z.imag

        f, fz, fzz, fb, fzb = parts
        out[0] = part(f, real, imag)
        if fb is None or fzb is None:  # harmonic
            out[1], out[2] = part(fz, sX * real, sX * imag), part(fz, sY * imag, -sY * real)
            out[3] = part(fzz, real, imag)
            out[4] = -(sY**2) * out[3]
            out[3] *= sX**2
            return
        out[1], out[2] = part(fz + fb, sX * real, sX * imag), part(fz - fb, sY * imag, -sY * real)
        out[3] = part(fzz + 2 * fzb, sX**2 * real, sX**2 * imag)
        out[4] = part(2 * fzb - fzz, sY**2 * real, sY**2 * imag)

    def _powers(self, X: Array, at: int) -> Callable[[float, int], Parts]:
        """What gives h conj(z - a)^q with its derivatives along z (two), conj(z), and both, (n,) each, for a power and
        a q, around the point of the column `at`.
        """
        (sX, sY), a, c, cut = self.scale[:, at], self.a[at], self.c[at], self.cut[at]
        d = sX * X[0] + 1j * (sY * X[1]) - a
        d[np.abs(d) < 1e-9] = 1e-9
        over = 1 / d
        if np.isnan(c):
            base, p, dp = d * -np.conj(cut), over, -(over**2)
        else:
            e = d + (a - c)
            over_c = 1 / e
            base, p, dp = d * over_c, over - over_c, over_c**2 - over**2
        w = np.log(base)

        @lru_cache
        def analytic(power: float, times_log: bool) -> tuple[Complex, Complex, Complex]:
            if times_log:
                return base * w, base * p * (w + 1), base * (p**2 + (w + 1) * (p**2 + dp))
            if power == 0:
                return np.log(d), over, -(over**2)
            h, slope = np.exp(power * w), power * p
            return h, h * slope, h * (slope**2 + power * dp)

        def of(power: float, q: int) -> Parts:
            h, dh, ddh = analytic(power, q < 0)
            return (h * d.conj(), dh * d.conj(), ddh * d.conj(), h, dh) if q > 0 else (h, dh, ddh, None, None)

        return of


def _alike(columns: Ids, *keys: NDArray) -> list[Ids]:
    """The columns in groups of the same keys, NaN being like NaN."""
    if len(columns) == 0:
        return []
    table = np.stack([np.nan_to_num(key[columns], nan=9e9) for key in keys], axis=1)
    which = np.unique(table, axis=0, return_inverse=True)[1].ravel()
    return [columns[which == k] for k in range(int(which.max()) + 1)]
