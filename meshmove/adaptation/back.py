"""Going back to the mesh before the last move, where the solution on the moved one says that it was better."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from meshmove.geometry.arrays import Array
from meshmove.movers import Move
from meshmove.outcomes import Outcome, Told

from .choice import Chosen
from .judging.prediction import BothNorms, Predicts

__all__ = ["UNCONFIRMED", "Earlier", "way_back"]


#: a mesh is moved back if it is predicted to be so many times worse than it was. Recovered anew, a field says of a mesh
#: that was aligned to what was recovered before that it is up to 8 % worse than that, also where it is better
BACK = 1.09
#: ... or if the solution on it shows so many times the error that the one before showed of its own mesh. After 97 first
#: moves to solutions by linear elements that was 0.1 to 1.14, and once 1.4, where the true error had risen, too; to
#: stresses, which lose on long cells more than their interpolant gains, 2.6 to 6
UNCONFIRMED = 1.2


@dataclass(frozen=True, eq=False)
class Earlier:
    """Of a mesh before its last move the positions (n, dim), and the errors (k,) that its solution showed of itself."""

    points: Array
    errors: Array | None

    def shown(self, predict: Predicts) -> float:
        """The errors that fields show now over those, by the mean of squares; 0 where they cannot be compared."""
        if self.errors is None or len(self.errors) != len(predict.shown):
            return 0.0
        return float(np.sqrt(((predict.shown / self.errors) ** 2).mean()))


def way_back(rest: Chosen, earlier: Earlier, predict: Predicts, both: BothNorms) -> Chosen | None:
    """The move to where a mesh was before its last one, if that is where it should be; `rest`: no move."""
    there, shown = earlier.points, earlier.shown(predict)
    if shown > UNCONFIRMED:
        return replace(rest, move=Move(there, 0, (_unconfirmed(shown),)), error=both.rest / shown)
    return replace(rest, move=Move(there, 0), error=both(there)) if both(there) * BACK < both.rest else None


def _unconfirmed(shown: float) -> Told:
    return Outcome.UNCONFIRMED.told(
        f"the solution on the moved mesh shows {shown:.2g} times the error that the one before showed: the mesh went "
        "back, and moves gently in the next round. Values derived from a solution, as stresses are, lose on long "
        "cells: give the solution itself, or refine the mesh"
    )
