"""Whether a problem makes sense: its domain, the kind of its equation, and the data that this kind needs."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from meshmove.geometry.domains import Difference, Domain

from .functions import Array, ProblemError
from .gaps import narrowest
from .sides import DIRICHLET, NEUMANN, ROBIN, VELOCITY
from .terms import principal

if TYPE_CHECKING:
    from .statement import Statement

__all__ = ["check_domain", "check_posed", "classify"]

TOL = 1e-9
#: holes this near to each other or to the outer boundary, relative to the longer side of the box, count as touching
NARROWEST = 1e-5
#: a u-term that is this small beside the others is none
VANISHED = 1e-12


def check_domain(domain: Domain) -> None:
    """Refuses empty domains, and holes that overlap, leave the domain that they are taken from, or touch anything."""
    holes: list[Domain] = []
    base = domain
    while isinstance(base, Difference):
        holes.insert(0, base.right)
        base = base.left
    if domain.is_empty or domain.area <= 0:
        raise ProblemError(f"Expected a domain with an interior (got the empty domain {domain!r})")
    if base.is_empty:
        _check_apart(domain)
        return
    scale = TOL * base.area
    holes = [h for h in holes if not h.is_empty]
    for hole in holes:
        if (hole - base).area > scale:
            raise ProblemError(
                f"Expected holes inside the domain (got {hole!r}, which leaves {base!r}); "
                "take away its part inside: domain - (hole & domain)"
            )
    boxes = [np.array(h.bounds) for h in holes]
    for (a, p), (b, q) in combinations(zip(holes, boxes, strict=True), 2):
        if (p[0] < q[1]).all() and (q[0] < p[1]).all() and (a & b).area > scale:
            raise ProblemError(
                f"Expected holes that do not overlap (got {a!r} and {b!r}); unite them: domain - (a | b)"
            )
    _check_apart(domain)


def _check_apart(domain: Domain) -> None:
    """Between curves that touch a domain ends in cusps, where neither features nor finite elements follow."""
    low, high = np.array(domain.bounds)
    least = NARROWEST * float((high - low).max())
    gap = narrowest(domain, least)
    if gap is None:
        return
    one, other = gap.names
    who = f"{one!r} touches itself" if one == other else f"{one!r} and {other!r}"
    raise ProblemError(
        f"Expected holes and boundaries at least {least:.1g} apart, or overlapping and united "
        f"(got {who}, {gap.width:.1g} apart at ({gap.at[0]:.4g}, {gap.at[1]:.4g})); move or shrink one, or let them "
        "overlap by more than that and unite them: domain - (a | b)"
    )


def _trial(domain: Domain) -> Array:
    return domain.sample_interior(256, seed=0)


def classify(pde: Statement) -> str:
    """The kind of the equation, from its coefficients at points of the domain where they vary."""
    x = np.mean(pde.domain.bounds, axis=0)[:, None] if pde.is_constant else _trial(pde.domain)
    values = pde.coefficients_at(x)
    if not values.any():
        raise ProblemError(
            f"Expected an operator with a coefficient other than zero (got zero for {', '.join(pde.terms)})"
        )
    orders = np.array([term.order for term in pde.table])
    if not values[orders > 1].any():
        return "first-order" if values[orders == 1].any() else "algebraic"
    (a, b), (c, d) = principal(pde.table, values)
    product = a * d - b * c
    if b.any():  # rounding of squares is no sign
        product = np.where(np.abs(product) > 1e-12 * (values[orders > 1] ** 2).sum(0), product, 0)
    if not product.any():
        return "parabolic"
    if (product >= 0).all():
        return "elliptic"
    if (product <= 0).all():
        return "hyperbolic"
    some, other = x[:, product.argmax()], x[:, product.argmin()]
    raise ProblemError(
        f"Expected an equation of one kind (got one that is elliptic at ({some[0]:.3g}, {some[1]:.3g}) and hyperbolic "
        f"at ({other[0]:.3g}, {other[1]:.3g})); solve it on two domains"
    )


def check_posed(pde: Statement, constants_known: bool = False) -> None:
    """Refuses what has no solution, or more than one; `constants_known`: by another term, whatever the conditions."""
    if pde.kind == "algebraic":
        return
    _check_time(pde)
    _check_covered(pde)
    rows = [row for side in pde.sides for row in side.rows]
    slopes = rows and all(row.kind == NEUMANN or (row.kind == ROBIN and row.share == 0) for row in rows)
    if slopes and not constants_known and not _sees_constants(pde):
        raise ProblemError(
            "Expected Dirichlet data on some boundary: with Neumann conditions alone and no u-term the solution is "
            "known up to a constant only (got Neumann, or Robin with alpha = 0, everywhere). Give one boundary a "
            "Dirichlet condition, or u=..."
        )


def _has(pde: Statement, term: int) -> bool:
    c = pde.coefficients[term]
    return callable(c) or c != 0


def _sees_constants(pde: Statement) -> bool:
    """Whether the u-term is anywhere in the domain more than rounding, beside the other terms."""
    if not callable(pde.coefficients[0]):
        return _has(pde, 0)
    sizes = np.abs(pde.coefficients_at(_trial(pde.domain))).max(axis=1)
    return bool(sizes[0] > VANISHED * sizes.max())


def _check_time(pde: Statement) -> None:
    if not pde.timed:
        if pde.kind == "hyperbolic":
            raise ProblemError(
                'Expected a time axis for a hyperbolic equation: time="y" (the second axis is time, the lower side its '
                f"start), or an Interval with a TimeInterval (got {pde.equation} with conditions all around)"
            )
        if pde.kind == "parabolic" and (_has(pde, 2) if _has(pde, 3) else _has(pde, 1)):
            raise ProblemError(
                f'Expected a time axis for a parabolic equation: time="y" or a TimeInterval (got {pde.equation}); '
                "with time along x, exchange the axes"
            )
        return
    second = _has(pde, 4)
    if not second and not _has(pde, 2):
        raise ProblemError(f"Expected a derivative in time, ut or utt (got {pde.equation})")
    if second and pde.kind == "elliptic":
        raise ProblemError(
            f"Expected utt and uxx with opposite signs in a problem in time (got {pde.equation}, which is elliptic): "
            "without time= and with conditions all around it is well-posed"
        )
    if pde.kind == "parabolic" and not second:
        values = pde.coefficients_at(_trial(pde.domain))
        ut = values[[term.along for term in pde.table].index((0, 1))]
        grows = [ut * c * term.sign < 0 for term, c in zip(pde.table, values, strict=True) if term.along[0] > 0]
        if np.any(grows):
            raise ProblemError(
                f"Expected ut and uxx with opposite signs (got {pde.equation}): it is the heat equation backward in "
                "time, whose solution does not depend continuously on its data"
            )
    starts = [s for s in pde.sides if s.time == "start"]
    if not starts:
        raise ProblemError("Expected a domain whose lower side in time is straight, the first time (got none)")
    have = [{row.kind for row in s.rows} for s in starts]
    if any(DIRICHLET not in k for k in have):
        raise ProblemError(f"Expected the value at the first time: initial=... (got none for {pde.equation})")
    if second and any(VELOCITY not in k for k in have):
        raise ProblemError(
            f"Expected the initial velocity: velocity=..., for the equation has utt (got none for {pde.equation})"
        )
    if not second and any(VELOCITY in k for k in have):
        raise ProblemError(
            f"Expected no initial velocity for an equation of first order in time (got one for {pde.equation}); "
            "the equation itself gives u_t"
        )


def _check_covered(pde: Statement) -> None:
    bare = [i for i, s in enumerate(pde.sides) if not s.rows and s.time != "end"]
    if not bare:
        return
    if pde.kind == "first-order":
        if len(bare) < len(pde.sides) and not _crossing(pde, bare):
            return
        names = ", ".join(dict.fromkeys(repr(pde.sides[i].name) for i in bare))
        raise ProblemError(
            f"Expected conditions wherever the characteristics enter the domain (got none on {names}, which they enter)"
        )
    names = ", ".join(dict.fromkeys(repr(pde.sides[i].name) for i in bare))
    raise ProblemError(
        f"Expected a condition on every boundary (got none on {names}); "
        "Neumann() leaves a boundary free of flux, Dirichlet(value) holds it"
    )


def _crossing(pde: Statement, bare: list[int]) -> bool:
    """Whether characteristics enter through pieces without a condition (in time problems), or both enter and leave."""
    s = np.linspace(0.05, 0.95, 7)
    piece = np.repeat(bare, len(s))
    x, normal = pde.domain.boundary.evaluate(piece, np.tile(s, len(bare)))
    _, a, b = pde.coefficients_at(x)[:3]
    if pde.timed:
        a, b = a * np.sign(b), np.abs(b)
    flow = (a * normal[0] + b * normal[1]) / np.maximum(np.hypot(a, b), 1e-300)
    enters, leaves = bool((flow < -1e-6).any()), bool((flow > 1e-6).any())
    return enters if pde.timed else enters and leaves
