"""The terms of an operator: one table, which statements, well-posedness, projection and finite elements read.

An operator is a sum of coefficients times partial derivatives of u. A row of `TABLE` says all that there is to know of
one: its name, what is differentiated, its weak form. Orders, powers in unit coordinates and signs of symbols follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from meshmove.geometry.arrays import Array

__all__ = ["BASE", "KEYWORDS", "TABLE", "TERMS", "Along", "Term", "principal", "terms_of"]

#: how often u is differentiated along x and along y
Along = tuple[int, int]


@dataclass(frozen=True)
class Term:
    """A term c D u of an operator.

    Attributes
    ----------
    name
        Of the term, and of its coefficient among the arguments of `LinearPDE`.
    along
        D: how often u is differentiated along x and along y. This makes jets of splines, the power of the bounding box
        that coefficients are divided by in unit coordinates, and the symbol.
    weak
        The weak form as (i, j, share): share times the integral of c d_i u d_j v, d_0 the value, d_1 and d_2 along x
        and y; what partial integration leaves of the slopes of c, and on the boundary, follows. Empty where continuous
        finite elements have none: they refuse the term by name.
    in_time
        Its name where the second axis is time; None for a term that only problems in space have.
    always
        Every operator has a coefficient for it. Networks, singular functions and gradients know these terms alone, and
        refuse or leave out others by name.

    >>> Term("uxx", (2, 0), ((1, 1, -1.0),), "uxx").sign
    -1
    """

    name: str
    along: Along
    weak: tuple[tuple[int, int, float], ...]
    in_time: str | None = None
    always: bool = True

    @property
    def order(self) -> int:
        """The number of derivatives."""
        return sum(self.along)

    @property
    def sign(self) -> int:
        """Of the real part of its symbol, 0 for odd orders: terms in space of one sign (with their coefficients) and
        ut of the same sign make waves decay; of the opposite sign, grow.
        """
        return (1, 0, -1, 0)[self.order % 4]

    def power(self, half: Array) -> float:
        """What its coefficient is divided by in coordinates X, x = center + half X."""
        return half[0] ** self.along[0] * half[1] ** self.along[1]


#: a new term is a row here, and an argument of `LinearPDE`
TABLE = (
    Term("u", (0, 0), ((0, 0, 1.0),), "u"),
    Term("ux", (1, 0), ((1, 0, 1.0),), "ux"),
    Term("uy", (0, 1), ((2, 0, 1.0),), "ut"),
    Term("uxx", (2, 0), ((1, 1, -1.0),), "uxx"),
    Term("uyy", (0, 2), ((2, 2, -1.0),), "utt"),
    Term("uxy", (1, 1), ((1, 2, -0.5), (2, 1, -0.5)), always=False),
)

#: names of the terms that every operator has, in the order of all coefficient arrays; others that it has follow
TERMS = tuple(term.name for term in TABLE if term.always)
#: their derivatives
BASE: tuple[Along, ...] = tuple(term.along for term in TABLE if term.always)
#: names of all coefficients among the arguments of `LinearPDE`
KEYWORDS = tuple(dict.fromkeys(name for term in TABLE for name in (term.name, term.in_time) if name))


def terms_of(extra: Sequence[str] = ()) -> tuple[Term, ...]:
    """The terms of an operator that has some beyond those of every operator.

    >>> [term.name for term in terms_of(["uxy"])]
    ['u', 'ux', 'uy', 'uxx', 'uyy', 'uxy']
    """
    return tuple(term for term in TABLE if term.always or term.name in extra)


def principal(terms: Sequence[Term], coefficients: Array) -> Array:
    """A (2, 2, ...) with int A grad u . grad v in the weak form of minus the operator; coefficients (terms, ...).

    >>> principal(terms_of(["uxy"]), np.array([0.0, 0, 0, 1, 3, 4]))
    array([[1., 2.],
           [2., 3.]])
    """
    out = np.zeros((2, 2, *np.shape(coefficients)[1:]))
    for term, c in zip(terms, coefficients, strict=True):
        for i, j, share in term.weak:
            if i and j:
                out[i - 1, j - 1] -= share * c
    return out
