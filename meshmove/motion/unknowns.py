"""One field or several, in any of the forms that users have: read to follow, and carried in the same form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.arrays import Array
from meshmove.meshes.source import Fields, Source, is_pair, read_fields
from meshmove.transfer.carrier import Carrier

__all__ = ["Unknowns"]


@dataclass(frozen=True, eq=False)
class Unknowns:
    """Fields of a mesh by their key in what the user gave: None for a single one, numbers of a list, keys of a dict."""

    source: Source
    given: Any
    read: dict[Any, Fields]

    @classmethod
    def of(cls, source: Source, given: Any) -> Unknowns:
        """Raises what `read_fields` raises, with the key of the field where there are several."""
        keys = _keys(source, given)
        if keys is None:
            return cls(source, given, {None: read_fields(source, given)})
        return cls(source, given, {k: read_fields(source, given[k]) for k in keys})

    @property
    def values(self) -> NDArray[np.float64] | None:
        """(n_vertices, k) of all fields side by side, None where there are none."""
        parts = [f.values for f in self.read.values() if f.values is not None]
        return np.hstack(parts) if parts else None

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(w for f in self.read.values() for w in f.warnings))

    def notes(self, carrier: Carrier) -> tuple[str, ...]:
        """What is not kept of fields that are carried: in the report of a step, though it be asked for later."""
        notes = (carrier.notes(f) for f in self.read.values())
        return tuple(dict.fromkeys(note for part in notes for note in part))

    def at_nodes(self, key: Any) -> Array:
        """Values (n_nodes, k) of a field at all nodes of the mesh; where it is known at vertices alone, linear between.

        Columns are those of `values`.
        """
        source, cells, fields = self.source, self.source.cells, self.read[key]
        out = cells.lifted(np.asarray(fields.values, float))
        if cells.nodes is None:
            return out
        if fields.pair is not None:
            converter: Any = source.converter
            found = converter.node_values(source.mesh, fields.pair)
        elif fields.function is not None:
            found = source.called(fields.function, cells.nodes, "the field function f(x)")
        else:
            found = np.asarray(self._own(fields, key, source.mesh))
        if len(found) != len(out):
            return out
        found = found.reshape(len(found), -1)
        found = np.concatenate([found.real, found.imag], axis=1) if np.iscomplexobj(found) else found
        return np.where(np.isfinite(found), found, out)  # nodes that no cell has may lie anywhere

    def material(self, moved: Any) -> Any:
        """The values as they are at the nodes, in the form given; functions that know their mesh are on `moved`."""
        return self._formed({k: self._own(f, k, moved) for k, f in self.read.items()})

    def carried(self, carrier: Carrier) -> tuple[Any, dict[str, NDArray]]:
        """The fields on the moved mesh in the form given, and by name, with what else the mesh carries."""
        named: dict[str, NDArray] = {}
        out: dict[Any, Any] = {}
        for key, fields in self.read.items():
            every = carrier.all(fields)
            given = self.given if key is None else self.given[key]
            name = given if isinstance(given, str) else "field"
            out[key] = every.pop(name) if key is not None and name == "field" else every.get(name)
            named |= every
            if key is not None and name == "field":
                named[str(key)] = out[key]
        return self._formed(out), named

    def _own(self, fields: Fields, key: Any, moved: Any) -> Any:
        source, given = self.source, self.given if key is None else self.given[key]
        if given is None:
            return None
        if fields.pair is not None:
            along: Any = getattr(source.converter, "gone_along", None)
            if along is not None:
                return along(source.mesh, moved, fields.pair)
            return next(part for part in fields.pair if not hasattr(part, "elem"))
        if fields.function is not None:
            return source.called(fields.function, source.cells.points, "the field function f(x)")
        return np.asarray(fields.nodal[given if isinstance(given, str) else "field"])

    def _formed(self, by_key: dict[Any, Any]) -> Any:
        if None in by_key:
            return by_key[None]
        return by_key if isinstance(self.given, Mapping) else [by_key[k] for k in sorted(by_key)]


def _keys(source: Source, given: Any) -> list[Any] | None:
    """Of a list or dict of fields; None for a single field."""
    if isinstance(given, Mapping):
        return list(given)
    if not isinstance(given, list) or not given or is_pair(source, given):
        return None
    several = all(isinstance(f, tuple | str) or callable(f) or np.ndim(f) > 0 for f in given)
    return list(range(len(given))) if several and not all(isinstance(f, list) for f in given) else None
