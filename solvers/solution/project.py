"""Projection: the solution of a linear or semilinear problem as the best combination of features."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, overload

from meshmove.geometry.given import count, number
from meshmove.solvers.pde import ProblemError, SemilinearPDE, Statement, several_of
from meshmove.solvers.projection.features.random_tanh import Tanh
from meshmove.solvers.projection.field import Emission
from meshmove.solvers.projection.grids import Feature
from meshmove.solvers.projection.many import alike, settle
from meshmove.solvers.projection.newton import project_semilinear

from .doubts import doubts
from .either import meshed, solved
from .solution import Solution

__all__ = ["project"]


#: random features that a dense matrix of them is made of, and the largest budget, relative to the default
MOST_FEATURES, MOST_EFFORT = 10_000, 1e6
FINEST = 1e-12  #: the least tolerance: estimates, of which rounding is 1e-13, come no lower but by chance


@overload
def project(
    pde: Statement | SemilinearPDE,
    emitted: Any = None,
    *,
    random: int = 0,
    tolerance: float = 3e-5,
    effort: float = 1.0,
    seed: int = 0,
    space: Any = None,
    start: Any = None,
) -> Solution: ...


@overload
def project(
    pde: Iterable[Statement | SemilinearPDE],
    emitted: Any = None,
    *,
    random: int = 0,
    tolerance: float = 3e-5,
    effort: float = 1.0,
    seed: int = 0,
    space: Any = None,
    start: Any = None,
) -> list[Solution]: ...


def project(
    pde: Statement | SemilinearPDE | Iterable[Statement | SemilinearPDE],
    emitted: Any = None,
    *,
    random: int = 0,
    tolerance: float = 3e-5,
    effort: float = 1.0,
    seed: int = 0,
    space: Any = None,
    start: Any = None,
) -> Solution | list[Solution]:
    """The combination of features that solves a problem best.

    Where conductivity jumps between regions no smooth feature has the solution's kinks: then features are cubic finite
    elements on a mesh that is fitted to the regions, which the package gmsh makes, and refined. Elliptic problems whose
    projection is in doubt by more than 1 %, as at fronts along curves, are solved on refined meshes as well, and the
    answer is the one with the smaller estimate. For tolerances from 5e-4 on such meshes come first, where the operator
    makes no layers; where its coefficients vary, after a first grid that does not see the solution: a few digits cost
    them less.

    Parameters
    ----------
    pde
        The problem, or several: then the answer is a list. Problems that differ in nothing but their sources, in a
        list, share one grid and one factor where that is as good as the tolerance asks for.
    emitted
        Optional features of emitted networks: an object with ``features(X)``, jets (5, size, n) in unit coordinates.
    random
        Number of random tanh features to add.
    tolerance
        Estimated relative L2 error at which grids stop growing. Below 1e-12, which rounding in double precision leaves,
        0 included, it is 1e-12: as good as `effort` pays for.
    effort
        Budget of operations of the finest grid relative to the default, which takes one to two seconds on one core.
    seed
        Of the sample that judges and of the random features; the same seed gives the same solution.
    space
        What writes knots that graded grids begin with, as the network of `HyPINO` does: an object with
        ``knots(unit)``. By default they are looked for, where an even grid does not do.
    start
        Of semilinear problems, what Newton's method begins with: a number, a function of points x (2, n), or another
        `Solution`. By default the solution without the reaction.

    Returns
    -------
    Solution
        Its `history` are the `Level` of each grid, or the `MeshLevel` of each mesh.

    Raises
    ------
    ProblemError
        A number is out of range, or a function of the problem is not finite somewhere.
    ConvergenceError
        Newton's method comes to no solution of a semilinear problem.
    MissingPackageError
        Conductivity jumps between regions, and gmsh is not installed.

    References
    ----------
    Hoellig, Finite Element Methods with B-Splines, SIAM 2003.

    >>> import numpy as np
    >>> from meshmove.geometry import Rectangle
    >>> from meshmove.solvers.pde import Dirichlet, LinearPDE
    >>> exact = lambda x: np.exp(x[0]) * np.sin(x[1])
    >>> pde = LinearPDE(Rectangle((0, 0), (2, 1), "all"), uxx=1, uyy=1, conditions={"all": Dirichlet(exact)})
    >>> x = np.random.default_rng(0).uniform(0, 1, (2, 100))
    >>> bool(np.abs(project(pde)(x) - exact(x)).max() < 1e-7)
    True
    """
    random = count(random, "a number of features random >= 0", high=MOST_FEATURES, error=ProblemError)
    seed = count(seed, "a seed >= 0", high=2**63, error=ProblemError)
    tolerance = max(number(tolerance, "a tolerance >= 0", open_low=False, error=ProblemError), FINEST)
    effort = number(effort, "an effort > 0", high=MOST_EFFORT, error=ProblemError)
    if emitted is not None and not hasattr(emitted, "features"):
        raise ProblemError(f"Expected emitted networks with features(X) (got {type(emitted).__name__})")
    if space is not None and not hasattr(space, "knots"):
        raise ProblemError(f"Expected a space with knots(unit), such as HyPINO's (got {type(space).__name__})")
    if isinstance(pde, SemilinearPDE):
        if emitted is not None or random:
            raise ProblemError("Expected neither emitted nor random features for a semilinear problem (got some)")
        return _semilinear(pde, start, tolerance=tolerance, effort=effort, seed=seed)
    if start is not None and isinstance(pde, Statement):
        raise ProblemError("Expected start= for semilinear problems alone (got one for a linear problem): leave it out")
    if not isinstance(pde, Statement):
        several = several_of(pde, (Statement, SemilinearPDE))
        if start is not None and not all(isinstance(p, SemilinearPDE) for p in several):
            raise ProblemError("Expected start= for semilinear problems alone (got linear ones among several)")
        if emitted is not None:
            raise ProblemError(f"Expected one problem with emitted= (got {len(several)}): project them one by one")
        options = {"random": random, "tolerance": tolerance, "effort": effort, "seed": seed, "space": space}
        options |= {"start": start} if start is not None else {}
        return _several(several, options)
    if pde.extra and (emitted is not None or random):
        raise ProblemError(
            "Expected neither emitted nor random features for an equation with "
            f"{', '.join(pde.extra)} (got some): leave them out"
        )
    if pde.regions:
        if emitted is not None or random:
            raise ProblemError(
                "Expected neither emitted nor random features where conductivity jumps between regions (got some): "
                "leave them out, finite elements on a fitted mesh solve it"
            )
        return meshed(pde, tolerance=tolerance, effort=effort, seed=seed)
    extra: list[Feature] = [Emission(emitted)] if emitted is not None else []
    if random:
        extra.append(Tanh(random, seed=seed))
    start = None if space is None else space.knots(pde.unit)
    return solved(pde, extra, start, tolerance=tolerance, effort=effort, seed=seed)


def _semilinear(pde: SemilinearPDE, start: Any, **options: Any) -> Solution:
    found, unit = project_semilinear(pde, start, **options)
    return Solution(
        unit.pde,
        found.field,
        history=found.levels,
        estimate=found.error,
        doubts=doubts(unit, found),
        how="projected by Newton's method",
    )


def _several(problems: list[Any], options: dict[str, Any]) -> list[Solution]:
    """Each by itself, but those that share a domain, an operator and conditions first together."""
    found: list[Solution | None] = [None] * len(problems)
    for group in _groups(problems) if not options["random"] else ():
        together = settle([problems[i] for i in group], options["tolerance"], options["seed"])
        for i, one in zip(group, together, strict=True):
            if one is not None:
                found[i] = Solution(problems[i], one.field, estimate=one.estimate, how="projected with others")
    return [project(p, **options) if s is None else s for p, s in zip(problems, found, strict=True)]


def _groups(problems: list[Any]) -> list[list[int]]:
    """Numbers of the problems that are alike but for their sources, two and more."""
    groups: list[list[int]] = []
    for i, problem in enumerate(problems):
        if not isinstance(problem, Statement):
            continue
        for group in groups:
            if alike(problem, problems[group[0]]):
                group.append(i)
                break
        else:
            groups.append([i])
    return [group for group in groups if len(group) > 1]
