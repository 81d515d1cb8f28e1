"""Why a projection is in doubt, in words: what it does not resolve, where, and what to try."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meshmove.geometry.arrays import Array
from meshmove.solvers.pde import UnitProblem
from meshmove.solvers.pde.gaps import narrowest

if TYPE_CHECKING:
    from meshmove.solvers.projection.grids import Projection

__all__ = ["doubts"]


#: estimates up to this need no explanation
_FINE = 1e-2
_GAP = 1.0  # cells across a gap that see it
_NEAR = 1e-3  # smallest singular values, relative to the operator's terms, below this are near a resonance


def doubts(unit: UnitProblem, found: Projection) -> tuple[str, ...]:
    """Sentences on a projection whose estimated error is large, or which cannot see a gap of its domain; often none."""
    cells = found.levels[-1].cells
    size = 2 * unit.half / np.array(cells)
    said = []
    gap = narrowest(unit.pde.domain, _GAP * float(size.max()))
    if gap is not None:
        one, other = gap.names
        said.append(
            f"the gap between {one!r} and {other!r} at {_at(gap.at)} is {gap.width:.2g} wide, "
            f"{gap.width / float(size.max()):.1g} cells of the grid"
        )
    if found.error <= _FINE or found.seen is None:
        return (*said, _TRY) if said and found.error > _FINE else tuple(said)
    seen, last = found.seen, found.levels[-1]
    if not np.isfinite(found.error) or found.error >= 1:
        said.append("nothing is known of the error: it may be as large as the solution")
    if seen.weakest < _NEAR:
        said.append(
            "the problem is close to one that has no solution, or many: some function is changed by the operator into "
            f"{seen.weakest:.1g} of its terms"
        )
    if seen.unseen > max(seen.missed, seen.interior):
        said.append("the source or a coefficient has peaks, strips or steps that fall between the points of the grid")
    elif seen.missed > max(seen.interior, last.change):
        said.append(
            f"the conditions on {seen.on!r} are missed most: a layer, or values that jump or turn within a cell"
        )
    elif seen.interior > 0:
        worst = unit.to_physical(seen.worst[:, None])[:, 0]
        said.append(
            f"the equation is missed most near {_at(worst)}: a layer, a peak or a corner that cells of "
            f"{size[0]:.2g} by {size[1]:.2g} do not resolve"
        )
    return (*said, _TRY)


_TRY = (
    "try a larger effort=, a smaller domain around the place, or finite elements on a mesh that is fine there (verify)"
)


def _at(x: Array) -> str:
    return f"({x[0]:.3g}, {x[1]:.3g})"
