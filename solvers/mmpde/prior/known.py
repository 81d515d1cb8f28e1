"""What is known of the fields on boundaries, and imposed there: from the data, or as the user says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellMesh, FieldError
from meshmove.geometry.arrays import Array

from .seen import Seen
from .shapes import rim_of

__all__ = ["Boundary", "Known"]

#: name of a boundary -> the value of all fields there, or of some by name; None where nothing is to be held
Boundary = Mapping[str, "float | Mapping[str, float] | None"]

#: a start that differs by more than this share of a field's range does not have the known value
ALIKE = 1e-3


@dataclass(frozen=True, eq=False)
class Known:
    """Values that are held: (number of the field, ids of nodes, value, name of the boundary) each."""

    parts: Sequence[tuple[int, NDArray[np.int64], float, str]] = ()

    @classmethod
    def of(cls, mesh: CellMesh, fields: Sequence[str], seen: Seen | None, boundary: Boundary | None) -> Known:
        """What the data say of the boundaries that the mesh has, and over it what the user says.

        Raises
        ------
        FieldError
            A boundary or a field is named that is not there, or a value is not finite.
        """
        if boundary is not None and not isinstance(boundary, Mapping):
            raise FieldError(f"Expected values by the names of boundaries (got {boundary!r})")
        said = dict(boundary or {})
        unknown = [name for name in said if name not in mesh.facets]
        if unknown:
            raise FieldError(f"Expected boundaries of the mesh, {sorted(mesh.facets)} (got {unknown})")
        places = {name: np.unique(ids[ids >= 0]) for name, ids in mesh.facets.items()}
        learned = {} if seen is None else seen.held
        strange = [ids for name, ids in places.items() if name in said or (seen and name not in seen.sides)]
        places[""] = np.setdiff1d(rim_of(mesh), np.concatenate(strange)) if strange else rim_of(mesh)
        held = {name: learned[name] for name in ("", *mesh.facets) if name in learned and name not in said}
        held |= {name: _by_field(name, value, fields) for name, value in said.items()}
        values = [(name, f, float(v)) for name, at in held.items() for f, v in at.items()]
        return cls([(fields.index(f), places[name], v, name) for name, f, v in values])

    def imposed(self, values: Array) -> Array:
        """Values (n, F) with what is known in its place."""
        out = np.array(values, float)
        for k, ids, value, _ in self.parts:
            out[ids, k] = value
        return out

    def broken(self, values: Array, fields: Sequence[str]) -> Iterator[str]:
        """Where a start (n, F) is otherwise, in words."""
        broken: dict[tuple[int, float], list[tuple[float, str]]] = {}
        for k, ids, value, name in self.parts:
            off = float(np.abs(values[ids, k] - value).max(initial=0.0))
            if off > ALIKE * max(float(np.ptp(values[:, k])), abs(value)):
                broken.setdefault((k, value), []).append((off, name or "the whole boundary"))
        for (k, value), parts in broken.items():
            off, names = max(parts)[0], sorted(name for _, name in parts)
            yield (
                f"the start of {fields[k]!r} is off by up to {off:.3g} from {value:g}, to which it is held from the "
                f"first frame on at {', '.join(names)}"
            )


def _by_field(name: str, value: float | Mapping[str, float] | None, fields: Sequence[str]) -> dict[str, float]:
    given = {} if value is None else dict(value) if isinstance(value, Mapping) else dict.fromkeys(fields, value)
    unlike = [f for f in given if f not in fields]
    if unlike:
        raise FieldError(f"Expected fields among {list(fields)} on the boundary {name!r} (got {unlike})")
    try:
        numbers = {f: float(v) for f, v in given.items()}
    except (TypeError, ValueError) as error:
        raise FieldError(f"Expected a number for each field on the boundary {name!r} (got {value!r})") from error
    if not np.isfinite(list(numbers.values())).all():
        raise FieldError(f"Expected finite values on the boundary {name!r} (got {value!r})")
    return numbers
