"""`LinearPDE`: a linear equation of second order with its domain and data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from meshmove.geometry.domains import Domain, Rectangle

from .conditions import Condition, Dirichlet, Interval, Neumann, Robin, TimeInterval
from .divergence import Conductivity, check_flow, check_tensor, flowing, tensor_of
from .functions import Function, ProblemError, checked, shown
from .mesh_domain import MeshDomain
from .regions import Region, pieced, regions_of
from .sides import sides_of
from .statement import Statement
from .terms import KEYWORDS, TABLE, TERMS
from .well_posed import check_domain, check_posed, classify

__all__ = ["LinearPDE", "several_of"]


class LinearPDE(Statement):
    r"""A linear equation of second order, the domain that it holds in, and what is known on the boundary.

        c_u u + c_ux u_x + c_uy u_y + c_uxx u_xx + c_uyy u_yy + c_uxy u_xy = source

    Coefficients stand before the derivatives, not under them: ``uxx=k, uyy=k`` with a function k is k times the
    Laplacian. What flows through a medium, -div(k grad u), is ``divergence=k``.

    In time problems t takes the place of y, and `ut`, `utt` that of `uy`, `uyy`.

    Parameters
    ----------
    domain
        A `Domain` of `meshmove.geometry`; or a finite element mesh in the plane (of any library that meshmove moves),
        whose named boundaries carry the conditions and whose other boundary facets are called "boundary"; or an
        `Interval`, together with a `TimeInterval`.
    u, ux, uy, uxx, uyy, uxy, ut, utt
        Coefficients: numbers, or functions of points x (2, n) with values (n,). A mixed derivative in space only.
    divergence
        k in -div(k grad u), a smooth positive number or function, or a 2 by 2 nested sequence or array of these, or a
        function with values (2, 2, n). It is expanded into the terms above, with k differentiated numerically. Where k
        jumps: a dict from regions, shapes of `meshmove.geometry` that cover the domain without overlap, or names of
        cells of the mesh, to what k (symmetric) is there; u and the flux n . k grad u are continuous across interfaces.
    source
        The right-hand side, a number or a function.
    conditions
        `Dirichlet`, `Neumann` or `Robin` by the name of the boundary. Every boundary needs one, except the last time,
        and those of a first-order equation through which the characteristics leave.
    time
        A `TimeInterval` for problems on an `Interval`; then row 1 of x in all functions is t. Or ``"y"``: the second
        axis of the domain is time, and the lower side of its bounding box the first time.
    initial, velocity
        u and u_t at the first time; the velocity where the equation has a second derivative in time.

    Attributes
    ----------
    kind
        "elliptic", "parabolic", "hyperbolic", "first-order" or "algebraic".
    coefficients
        The coefficients in the order of `terms`, floats or functions.
    domain
        The domain in the plane, or in space and time.
    sides
        For every piece of ``domain.boundary`` its conditions.
    unit
        The problem in the coordinates [-1, 1]^2: a `UnitProblem`.

    Raises
    ------
    ProblemError
        The statement is incomplete, contradicts itself or is not well-posed; the message says what is missing. A term
        is none of those above.
    NonlinearError
        A coefficient or the source is a function of more than the points.
    UnsupportedMeshError
        The mesh is not one of the plane, or of an unknown library.

    References
    ----------
    Evans, Partial Differential Equations, American Mathematical Society 2010.

    >>> from meshmove.geometry import Disk, Rectangle
    >>> square = Rectangle((-1, -1), (1, 1), name="outer") - Disk((0, 0), 0.3, name="hole")
    >>> LinearPDE(square, uxx=-1, uyy=-1, conditions={"outer": Dirichlet(1.0), "hole": Neumann()})
    LinearPDE(elliptic: -uxx - uyy = 0; outer: Dirichlet(1), hole: Neumann(0))
    >>> hot, ends = lambda x: x[0] * (1 - x[0]), {"left": Dirichlet(), "right": Dirichlet()}
    >>> LinearPDE(
    ...     Interval(0, 1), ut=1, uxx=-0.2, time=TimeInterval(0, 2), initial=hot, conditions=ends
    ... )
    LinearPDE(parabolic: ut - 0.2 uxx = 0; left: Dirichlet(0), right: Dirichlet(0); u = f(x) at t = 0)
    """

    def __init__(
        self,
        domain: Domain | Interval | Any,
        *,
        u: Function = 0.0,
        ux: Function = 0.0,
        uy: Function = 0.0,
        uxx: Function = 0.0,
        uyy: Function = 0.0,
        uxy: Function = 0.0,
        divergence: Conductivity | None = None,
        ut: Function = 0.0,
        utt: Function = 0.0,
        source: Function = 0.0,
        conditions: Mapping[str, Condition] | None = None,
        time: TimeInterval | str | None = None,
        initial: Function | None = None,
        velocity: Function | None = None,
        **unknown: Any,
    ) -> None:
        given = locals()
        _check_known(unknown)
        terms = {name: checked(given[name], f"the coefficient {name}") for name in KEYWORDS}
        self.conditions = _conditions(conditions)
        self.given, self.mesh = domain, None
        plane, timed = self._planar(domain, time), time is not None
        self.divergence = divergence
        regions: tuple[Region, ...] = ()
        if divergence is not None:
            check_flow(terms, timed)
            regions, terms = _flow(divergence, terms, plane)
        if not timed and (initial is not None or velocity is not None or _any(terms, "ut", "utt")):
            raise ProblemError(
                "Expected time= for an equation with ut, utt, initial or velocity (got none): "
                'a TimeInterval on an Interval, or time="y" on a domain whose second axis is time'
            )
        self.initial = None if initial is None else checked(initial, "the initial value")
        self.velocity = None if velocity is None else checked(velocity, "the initial velocity")
        check_domain(plane)
        extra, coefficients = _merged(terms, timed)
        operator = Statement(plane, coefficients, checked(source, "the source"), (), timed, "", extra, regions)
        kind = classify(operator)
        sides = sides_of(plane, self.conditions, timed, self.initial, self.velocity)
        super().__init__(plane, operator.coefficients, operator.source, sides, timed, kind, extra, regions)
        self.check()

    def check(self) -> None:
        """Refuses what has no solution, or more than one."""
        check_posed(self)

    def _planar(self, domain: Any, time: TimeInterval | str | None) -> Domain:
        if isinstance(domain, Interval):
            if not isinstance(time, TimeInterval):
                raise ProblemError(f"Expected time=TimeInterval(start, end) with an Interval (got time={time!r})")
            names = ("start", domain.names[1], "end", domain.names[0])
            return Rectangle((domain.lower, time.start), (domain.upper, time.end), names=names)
        if isinstance(time, TimeInterval):
            raise ProblemError(
                f"Expected an Interval with a TimeInterval (got {type(domain).__name__}): two dimensions of space and "
                'one of time make three, which is not supported. time="y" makes the second axis of a domain time'
            )
        if time is not None and not (isinstance(time, str) and time == "y"):
            raise ProblemError(f'Expected a TimeInterval, "y" or None for time (got {time!r})')
        if isinstance(domain, Domain):
            return domain
        self.mesh = domain
        return MeshDomain.of(domain, prefer=tuple(self.conditions))

    def __repr__(self) -> str:
        parts = [f"{self.kind}: {self.equation}"]
        if self.conditions:
            parts.append(", ".join(f"{n}: {c!r}" for n, c in self.conditions.items()))
        start = f"at t = {self.domain.bounds[0][1]:g}"
        if self.initial is not None:
            parts.append(f"u = {shown(self.initial)} {start}")
        if self.velocity is not None:
            parts.append(f"ut = {shown(self.velocity)} {start}")
        return f"LinearPDE({'; '.join(parts)})"


def several_of(problems: Any, kinds: tuple[type, ...] = (Statement,)) -> list[Any]:
    """A list of problems, of some kinds, from any iterable of them.

    Raises
    ------
    ProblemError
        What was given is no iterable of problems.
    """
    if isinstance(problems, str | bytes | Mapping) or not isinstance(problems, Iterable):
        raise ProblemError(f"Expected a LinearPDE or several (got {type(problems).__name__})")
    try:
        several = list(problems)
    except (TypeError, RuntimeError):  # arrays and tensors without a dimension
        several = [problems]
    wrong = [i for i, problem in enumerate(several) if not isinstance(problem, kinds)]
    if wrong:
        raise ProblemError(
            f"Expected a LinearPDE or several "
            f"(got a {type(several[wrong[0]]).__name__} as number {wrong[0]} of {len(several)})"
        )
    return several


def _check_known(unknown: Mapping[str, Any]) -> None:
    """Refuses terms and data by names that an equation does not have."""
    names = (*KEYWORDS, "divergence", "source", "conditions", "time", "initial", "velocity")
    for name in unknown:
        close = get_close_matches(name, names, n=1)
        high = re.fullmatch("u([xyt]{3,})", name) is not None
        hint = "; derivatives beyond the second are not solved for" if high else ""
        hint = f"; did you mean {close[0]}?" if close and not high else hint
        raise ProblemError(
            f"Expected the terms {', '.join(KEYWORDS)}, or {', '.join(names[len(KEYWORDS) : -1])}, {names[-1]} "
            f"(got {name!r}{hint})"
        )


def _conditions(given: Mapping[str, Condition] | None) -> dict[str, Condition]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ProblemError(
            f"Expected conditions as a dict from boundary name to condition (got {type(given).__name__})"
        )
    for name, condition in given.items():
        if not isinstance(condition, Dirichlet | Neumann | Robin):
            raise ProblemError(
                f"Expected Dirichlet(value) or Neumann(value), or Robin(alpha, beta, value), on {name!r} "
                f"(got {condition!r})"
            )
    return dict(given)


def _any(terms: Mapping[str, Function], *names: str) -> bool:
    return any(callable(terms[n]) or terms[n] != 0 for n in names)


def _flow(
    divergence: Conductivity, terms: Mapping[str, Function], plane: Domain
) -> tuple[tuple[Region, ...], dict[str, Function]]:
    """The regions of a k that jumps, and all terms."""
    if isinstance(divergence, Mapping):
        regions = regions_of(divergence, plane, tuple(terms[name] for name in TERMS[:3]))
        return regions, pieced(regions, terms)
    tensor = tensor_of(divergence)
    check_tensor(tensor, plane)
    return (), flowing(tensor, terms, plane)


def _merged(terms: Mapping[str, Function], timed: bool) -> tuple[tuple[str, ...], tuple[Function, ...]]:
    """Names of the terms that not every operator has, and all coefficients, those of t in the place of y."""
    extra, coefficients = [], []
    for term in TABLE:
        names = [n for n in dict.fromkeys((term.name, term.in_time if timed else None)) if n and _any(terms, n)]
        if len(names) > 1:
            raise ProblemError(
                f"Expected one coefficient for a derivative in time (got {names[0]} and {names[1]}, which are the same)"
            )
        if names and timed and term.in_time is None:
            raise ProblemError(f"Expected no mixed derivative of space and time (got {term.name}= with time=)")
        if names and not term.always:
            extra.append(term.name)
        if names or term.always:
            coefficients.append(terms[names[0]] if names else terms[term.name])
    return tuple(extra), tuple(coefficients)
