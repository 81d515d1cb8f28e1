"""What a rollout is asked for: fields, attributes and mesh, checked against what the model knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellMesh, FieldError
from meshmove.geometry.arrays import Array
from meshmove.geometry.given import answered, as_float
from meshmove.meshes.source import Source
from meshmove.options import as_numbers, count, shown

from .correcting.based import FAR
from .network import Settings, TwoBranches

__all__ = ["attributes_of", "check", "columns_of", "nodes_of", "same_mesh", "strange", "values_of"]


def check(model: TwoBranches, mesh: CellMesh, steps: int, dt: float | None) -> None:
    """Dimension, number of frames and time step.

    Raises
    ------
    ValueError
        One is not as the model expects it.
    """
    if mesh.dim != model.settings.dim:
        raise ValueError(f"Expected a mesh in {model.settings.dim} dimensions (got one in {mesh.dim})")
    count(steps, "a whole number of frames, at least 0")
    known = float(model.step)
    if dt is not None and not abs(as_float(dt) - known) <= 1e-5 * known:  # also NaN, of what is no number
        raise ValueError(
            f"Expected the time step of the training data, {known:g} (got {shown(dt)}): take frames at that distance, "
            "or train a model on data with yours"
        )


def values_of(settings: Settings, source: Source, u0: Any) -> Array:
    """Values (n_vertices, F) of all fields."""
    if callable(u0):
        u0 = answered(u0, source.columns(source.cells.points), "the start u0(x)")
    return _checked(settings, source.at_vertices(_columns(settings, u0), "u0"))


def columns_of(settings: Settings, values: Any) -> Array:
    """Values (m, F) that a function of points has given."""
    return _checked(settings, _columns(settings, values))


def _columns(settings: Settings, u0: Any) -> Array:
    names = settings.fields
    if isinstance(u0, Mapping):
        unlike = [f"{name!r} missing" for name in names if name not in u0]
        unlike += [f"{name!r} unknown" for name in u0 if name not in names]
        if unlike:
            raise FieldError(f"Expected the fields that the model was trained on, {list(names)} (got "
                             f"{', '.join(unlike)})")  # fmt: skip
        each = [_real(u0[name], f"the field {name!r}") for name in names]
        if len({values.shape for values in each}) > 1:
            raise FieldError(f"Expected fields of one shape (got {', '.join(str(v.shape) for v in each)})")
        u0 = np.stack(each, axis=-1)
    values = _real(u0, "u0")
    return values[:, None] if values.ndim == 1 else values


def _real(values: Any, what: str) -> Array:
    array = as_numbers(values, what)
    if array.dtype.kind == "c":
        raise FieldError(f"Expected real numbers as {what} (got {array.dtype})")
    return array.astype(float)


def _checked(settings: Settings, values: Array) -> Array:
    names = settings.fields
    if values.shape[1:] != (len(names),):
        raise FieldError(f"Expected values of {len(names)} fields {list(names)} (got shape {values.shape})")
    if not np.isfinite(values).all():
        bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
        raise FieldError(f"Expected finite values (got others at {len(bad)} nodes, the first is {bad[0]})")
    return values


def attributes_of(settings: Settings, attributes: Mapping[str, float] | None) -> list[float]:
    if attributes is not None and not isinstance(attributes, Mapping):
        raise ValueError(f"Expected attributes by name (got {attributes!r})")
    given, names = dict(attributes or {}), settings.attributes
    if set(given) != set(names):
        raise ValueError(f"Expected the attributes {list(names)} that the model was trained with (got {list(given)})")
    numbers = [as_float(given[name]) for name in names]
    if not np.isfinite(numbers).all():
        raise ValueError(f"Expected a finite number for each attribute of {list(names)} (got {given})")
    return numbers


def strange(model: TwoBranches, mesh: CellMesh, values: Array, attributes: Sequence[float]) -> list[str]:
    """What sets a mesh, a start (n, F) and attributes apart from those of training, in words."""
    notes = []
    if model.seen is None:
        ends = mesh.points[np.asarray(mesh.edges)]
        ratio = float(np.sqrt(((ends[:, 0] - ends[:, 1]) ** 2).sum(axis=1)).mean() / model.unit)
        notes.append("the model does not say what it was trained on, so nothing is known of what lies outside")
        if not 1 / 1.5 < ratio < 1.5:
            notes.append(f"the mesh's edges are {ratio:.3g} times as long as those of the training meshes")
    else:
        notes += model.seen.strange(mesh, values, attributes)
        notes += _uncorrected(model, mesh, attributes)
    new = sorted(set(mesh.facets) - set(model.settings.boundaries))
    if new:
        notes.append(f"the model does not know the boundaries {new}, it knows {list(model.settings.boundaries)}")
    gone = sorted(set(model.settings.boundaries) - set(mesh.facets))
    if gone:
        notes.append(f"the mesh lacks the boundaries {gone} of the training meshes")
    return notes


def _uncorrected(model: TwoBranches, mesh: CellMesh, attributes: Sequence[float]) -> list[str]:
    """How much of its corrections a model with a base leaves out for the ranges of training, in words."""
    if not model.settings.base or model.seen is None:
        return []
    share = float(model.seen.near(mesh, attributes, FAR).mean())
    if share > 0.99:
        return []
    taken = f"{100 * share:.0f} % of each correction is" if share else "no correction is"
    trained = ", ".join(f"{k} {min(v):g} to {max(v):g}" for k, v in model.seen.attributes.items())
    return [f"{taken} made to {model.settings.base!r}, for attributes or sizes of cells lie beyond those of training"
            + (f" ({trained})" if trained else "")]  # fmt: skip


def nodes_of(mesh: CellMesh, names: Sequence[str]) -> NDArray[np.bool_]:
    """Which nodes (n,) are on boundaries of these names."""
    on = np.zeros(mesh.n_points, bool)
    for name in names:
        ids = mesh.facets[name]
        on[ids[ids >= 0]] = True
    return on


def same_mesh(a: CellMesh, b: CellMesh) -> bool:
    """Whether two meshes are alike in all that graph and mover are made from."""
    return (
        np.array_equal(a.points, b.points)
        and a.same_cells(b)
        and set(a.facets) == set(b.facets)
        and all(np.array_equal(a.facets[name], b.facets[name]) for name in a.facets)
    )
