"""A solver of the user's: what the network corrects, called with care."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from meshmove.geometry import CellMesh, MeshmoveError
from meshmove.geometry.arrays import Array
from meshmove.geometry.given import shown

__all__ = ["Base", "BaseError", "Step", "matching"]

#: step(mesh, fields, dt, attributes): fields (n,) by name after the time dt; for a single one, the array will do
Step = Callable[[CellMesh, dict[str, Array], float, dict[str, float]], "Mapping[str, ArrayLike] | ArrayLike"]


class BaseError(MeshmoveError, RuntimeError):
    """The solver that a model corrects is missing or another one, has failed, or gave no fields."""


@dataclass(frozen=True, eq=False)
class Base:
    """A step, and the name by which models know it.

    Attributes
    ----------
    numbers
        Names of what ``step.describe(mesh, fields, dt, attributes)`` gives for each node, (n, K): numbers without a
        dimension on which its error depends. The network sees them in place of the attributes. None for a plain
        function.
    """

    step: Step
    name: str
    numbers: tuple[str, ...] = ()

    @classmethod
    def of(cls, step: Step | Base) -> Base:
        """A callable with its own `name`, or else that of its definition.

        Raises
        ------
        BaseError
            It cannot be called, or has no name.
        """
        if isinstance(step, Base):
            return step
        if not callable(step):
            raise BaseError(
                f"Expected a base that can be called as step(mesh, fields, dt, attributes) (got {shown(step)})"
            )
        name = getattr(step, "name", None) or getattr(step, "__name__", None)
        if not isinstance(name, str) or name == "<lambda>":
            raise BaseError(f"Expected a base with a name, to be kept with the weights (got {shown(step)}): define it "
                            "by def, or give the object an attribute `name`")  # fmt: skip
        numbers = tuple(getattr(step, "numbers", ()))
        if numbers and not callable(getattr(step, "describe", None)):
            raise BaseError(f"Expected a method describe() of the base {name!r} that gives its numbers {list(numbers)}")
        return cls(step, name, numbers)

    @property
    def tensors(self) -> Any:
        """The same steps on tensors of torch, with gradients: ``step.tensors(mesh, fields, dt, attributes)``, and
        ``step.tensors.describe`` for its numbers.

        Raises
        ------
        BaseError
            There are no such.
        """
        found = getattr(self.step, "tensors", None)
        if not callable(found):
            raise BaseError(f"Expected a base {self.name!r} with steps on tensors, step.tensors(mesh, fields, dt, "
                            "attributes), for gradients of a rollout (got none): give it that attribute")  # fmt: skip
        return found

    def __deepcopy__(self, memo: Any) -> Base:
        return self  # it is the user's, not ours to copy

    def frames(
        self,
        mesh: CellMesh,
        values: Array,
        names: Sequence[str],
        attributes: Mapping[str, float],
        dt: float,
        bundle: int,
        leap: int = 1,
    ) -> Array:
        """Values (n, bundle, F) of the next frames, dt apart, from those (n, F) at the start.

        Of `leap` frames the base computes the last one, in a single step; between them fields are linear in time.

        Raises
        ------
        BaseError
            It raised something, or gave fields that are missing, of a wrong shape or not finite.
        """
        out = np.empty((len(values), bundle, len(names)))
        now, done = values, 0
        while done < bundle:
            some = min(leap, bundle - done)
            then = self._step(mesh, now, names, attributes, some * dt)
            for k in range(1, some + 1):
                out[:, done + k - 1] = then if k == some else now + (then - now) * (k / some)
            now, done = then, done + some
        return out

    def described(
        self, mesh: CellMesh, values: Array, names: Sequence[str], attributes: Mapping[str, float], dt: float
    ) -> Array:
        """Its numbers (n, K) at a start; of none for a plain function."""
        if not self.numbers:
            return np.zeros((len(values), 0))
        describe: Any = self.step.describe  # type: ignore[attr-defined]
        found = self._called(describe, "describe a step", mesh, values, names, attributes, dt)
        return self._array(found, (len(values), len(self.numbers)), f"numbers {list(self.numbers)}")

    def _step(
        self, mesh: CellMesh, values: Array, names: Sequence[str], attributes: Mapping[str, float], dt: float
    ) -> Array:
        found = self._called(self.step, "make a step", mesh, values, names, attributes, dt)
        if found is None:
            raise BaseError(f"Expected the fields {list(names)} from the base {self.name!r} (got None): return them")
        if not isinstance(found, Mapping):
            if len(names) > 1:
                raise BaseError(f"Expected fields {list(names)} by name from the base {self.name!r} (got "
                                f"{type(found).__name__})")  # fmt: skip
            found = {names[0]: found}
        missing = [name for name in names if name not in found]
        if missing:
            raise BaseError(f"Expected the fields {list(names)} from the base {self.name!r} (got {sorted(found)})")
        return np.stack([self._array(found[name], (len(values),), f"field {name!r}") for name in names], axis=1)

    def _called(self, call: Any, what: str, mesh: CellMesh, values: Array, names: Sequence[str],
                attributes: Mapping[str, float], dt: float) -> Any:  # fmt: skip
        fields = {name: values[:, k].copy() for k, name in enumerate(names)}
        try:
            return call(mesh, fields, dt, dict(attributes))
        except Exception as error:  # noqa: BLE001
            raise BaseError(
                f"Expected the base {self.name!r} to {what} of {dt:g} on {mesh.n_points} nodes with {dict(attributes)} "
                f"(it raised {type(error).__name__}: {error})"
            ) from error

    def _array(self, found: Any, shape: tuple[int, ...], what: str) -> Array:
        try:
            given = np.asarray(found)
            turned = int((given.imag != 0).sum()) if np.iscomplexobj(given) else 0
            array = np.asarray(given.real if np.iscomplexobj(given) else given, float)
        except (TypeError, ValueError) as error:
            raise BaseError(f"Expected numbers as {what} from the base {self.name!r} (got {shown(found)})") from error
        if turned:
            raise BaseError(f"Expected a real {what} from the base {self.name!r} (got imaginary parts at {turned} of "
                            "its values): give real and imaginary part as two fields")  # fmt: skip
        if array.shape != shape:
            raise BaseError(f"Expected the {what} of shape {shape} from the base {self.name!r}, a value for each node "
                            f"of the mesh (got shape {array.shape})")  # fmt: skip
        bad = np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1))
        if len(bad):
            raise BaseError(f"Expected a finite {what} from the base {self.name!r} (got others at {len(bad)} nodes, "
                            f"the first is {bad[0]}): shorten its steps, or take a start that it bears")  # fmt: skip
        return array


def matching(step: Step | Base | None, name: str, numbers: Sequence[str]) -> Base | None:
    """The base of a model that corrects the one of this name, "" for none.

    Raises
    ------
    BaseError
        Another one came, or none, or one too many.
    """
    if step is None and not name:
        return None
    if step is None:
        raise BaseError(f"Expected the base {name!r}, which this model was trained to correct (got none): give it as "
                        "base=step")  # fmt: skip
    base = Base.of(step)
    if not name:
        raise BaseError(f"Expected no base for this model, which was trained without (got {base.name!r})")
    if base.name != name:
        raise BaseError(f"Expected the base {name!r}, which this model was trained to correct (got {base.name!r})")
    if base.numbers != tuple(numbers):
        raise BaseError(f"Expected a base {name!r} with the numbers {list(numbers)} (got {list(base.numbers)})")
    return base
