"""What was measured at one frame, checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meshmove.geometry import CellMesh, FieldError
from meshmove.geometry.arrays import Array
from meshmove.geometry.given import as_float, as_list, number, real, shown

__all__ = ["Observation", "refuse_outside", "several"]


#: squares of the noise, and their reciprocals, are float64
NOISE = 1e-150, 1e150


@dataclass(frozen=True, eq=False)
class Observation:
    """What was measured at one frame.

    Parameters
    ----------
    frame
        Number of the frame, from 1 on.
    values
        (m,) of each field that was measured, by its name.
    noise
        Standard deviation of the measurements' errors, in the field's units; a number, or one for each field.
    points
        Places (d, m); or else `nodes`.
    nodes
        Ids (m,) of the nodes where it was measured, or a mask (n,) of them.

    Raises
    ------
    FieldError
        The frame or an id is no whole number, places and values do not fit, something is not finite or hidden by a
        mask, nothing was measured, or the noise is not positive.
    """

    frame: int
    values: Mapping[str, ArrayLike]
    noise: float | Mapping[str, float]
    points: ArrayLike | None = None
    nodes: ArrayLike | None = None

    def __post_init__(self) -> None:
        if (self.points is None) == (self.nodes is None):
            raise FieldError("Expected either points (d, m) or nodes (m,) of the measurements (got both or none)")
        object.__setattr__(self, "frame", _frame(self.frame))
        if self.nodes is not None:
            object.__setattr__(self, "nodes", _nodes(self.nodes))
        else:
            object.__setattr__(self, "points", _points(self.points))
        if not isinstance(self.values, Mapping) or not self.values:
            raise FieldError(f"Expected measurements by the names of fields (got {self.values!r})")
        m = len(self)
        values = {name: _real(v, f"measurements of {name!r}") for name, v in self.values.items()}
        for name, array in values.items():
            if array.shape != (m,) or not np.isfinite(array).all():
                raise FieldError(f"Expected {m} finite measurements of {name!r} (got shape {array.shape}, "
                                 f"{int((~np.isfinite(array)).sum())} not finite)")  # fmt: skip
            number(self.noise_of(name), f"a positive noise of {name!r}", *NOISE, error=FieldError)
        object.__setattr__(self, "values", values)

    def __len__(self) -> int:
        """Number of places."""
        if self.nodes is None:
            return np.asarray(self.points).shape[1]
        nodes = np.asarray(self.nodes)
        return int(nodes.sum()) if nodes.dtype == bool else len(nodes)

    def noise_of(self, name: str) -> float:
        """Standard deviation of the errors of a field's measurements."""
        if isinstance(self.noise, Mapping) and name not in self.noise:
            raise FieldError(f"Expected the noise of {name!r} (got that of {list(self.noise)})")
        noise = self.noise[name] if isinstance(self.noise, Mapping) else self.noise
        value = as_float(noise)
        if np.isnan(value):
            raise FieldError(f"Expected a number as the noise of {name!r} (got {shown(noise)})")
        return value

    def ids(self, n: int) -> NDArray[np.int64]:
        """Ids (m,) of the nodes, of a mesh that has n."""
        nodes = np.asarray(self.nodes)
        if nodes.dtype == bool:
            if len(nodes) != n:
                raise FieldError(f"Expected a mask of {n} nodes (got one of {len(nodes)})")
            return np.flatnonzero(nodes)
        bad = nodes[(nodes < 0) | (nodes >= n)]
        if len(bad):
            raise FieldError(f"Expected measurements at nodes below {n} (got {len(bad)} others, the first is {bad[0]})")
        return nodes

    def check(self, mesh: CellMesh, fields: Sequence[str]) -> None:
        """Whether it can be of these fields on this mesh.

        Raises
        ------
        FieldError
            A field is measured that is not there, or the places are not in the mesh.
        """
        unknown = [name for name in self.values if name not in fields]
        if unknown:
            raise FieldError(f"Expected measurements of {list(fields)} (got some of {unknown})")
        if self.nodes is not None:
            self.ids(mesh.n_points)
            return
        points, near = np.asarray(self.points), 1e-9 * mesh.extent
        if len(points) != mesh.dim:
            raise FieldError(f"Expected points of shape ({mesh.dim}, m) (got {points.shape})")
        low, high = mesh.points.min(axis=0)[:, None], mesh.points.max(axis=0)[:, None]
        refuse_outside(points, ((points < low - near) | (points > high + near)).any(axis=0))


def several(observations: Iterable[Observation]) -> tuple[Observation, ...]:
    """A user's observations, one or several.

    Raises
    ------
    FieldError
        One is none.
    """
    if isinstance(observations, Observation):
        return (observations,)
    try:
        found = as_list(observations, "observations")
    except ValueError:
        found = [observations]
    wrong = [i for i, seen in enumerate(found) if not isinstance(seen, Observation)]
    if wrong:
        raise FieldError(f"Expected observations (got {found[wrong[0]]!r} as number {wrong[0]} of {len(found)})")
    return tuple(found)


def refuse_outside(points: Array, outside: NDArray[np.bool_]) -> None:
    """An error that names the first of the points (d, m) that are outside."""
    beyond = np.flatnonzero(outside)
    if len(beyond):
        raise FieldError(
            f"Expected measurements in the mesh (got {len(beyond)} outside it, the first at {points[:, beyond[0]]})"
        )


def _real(values: object, what: str) -> Array:
    """Real numbers as float64; hidden ones are refused."""
    hidden = int(np.ma.count_masked(values)) if isinstance(values, np.ma.MaskedArray) else 0
    if hidden:
        raise FieldError(f"Expected {what} without a mask (got {hidden} masked): leave them out")
    return np.array(real(values, what, "real numbers"))


def _frame(frame: object) -> int:
    number = None if isinstance(frame, bool | np.bool_) else _real(frame, "the frame")
    if number is None or number.shape != () or not np.isfinite(number) or number != np.floor(number):
        raise FieldError(f"Expected a whole number as the frame (got {frame!r})")
    if number < 1:
        raise FieldError(f"Expected measurements at a frame from 1 on (got {int(number)}); 0 is the start")
    return int(number)


def _nodes(nodes: ArrayLike) -> NDArray[np.int64] | NDArray[np.bool_]:
    """Ids (m,), or a mask (n,) as it is."""
    number = _real(nodes, "the nodes")
    if number.ndim != 1 or not len(number):
        raise FieldError(f"Expected ids (m,) of at least one node, or a mask (n,) (got shape {number.shape})")
    if np.asarray(nodes).dtype == bool:
        if not number.any():
            raise FieldError(f"Expected a mask of at least one node (got {len(number)} times False)")
        return np.array(nodes, bool)
    broken = np.flatnonzero(~((number == np.floor(number)) & (np.abs(number) < 2.0**53)))
    if len(broken):
        raise FieldError(f"Expected whole numbers as ids of nodes (got {len(broken)} others, the first is "
                         f"{number[broken[0]]})")  # fmt: skip
    return number.astype(np.int64)


def _points(points: object) -> Array:
    array = _real(points, "the points")
    if array.ndim != 2 or array.shape[0] not in (2, 3) or not array.shape[1] or not np.isfinite(array).all():
        raise FieldError(f"Expected finite points of shape (d, m), d 2 or 3 and m at least 1 (got shape {array.shape}, "
                         f"{int((~np.isfinite(array)).sum())} not finite)")  # fmt: skip
    return array
