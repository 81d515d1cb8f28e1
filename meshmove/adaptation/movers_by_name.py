"""The movers that have names: one table for `adapt`, moving meshes, time steps and the command line.

A name and its object are the same mover: ``mover="dmm"`` is ``mover=Neural()``. Only "auto" chooses: the classical
mover, with more weight on the cells' shapes where the monitor is made from a field.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import is_dataclass, replace
from typing import Any, cast

from meshmove.movers import Align, MongeAmpere, Mover, Smooth
from meshmove.optional import found_in
from meshmove.options import shown

__all__ = ["MOVERS", "NAMES", "mover_of"]

#: a field's monitor is only a guess of what is best, so the cells' shapes count for more
FIELD_DISTORTION = 0.05


def _neural(device: str | None, objective: str) -> Mover:
    neural = found_in("meshmove.neural", "Neural")  # torch, only where it is asked for
    return cast(Mover, neural(device=device, objective=objective))


#: name -> the mover for a device and an objective
MOVERS: dict[str, Callable[[str | None, str], Mover]] = {
    "smooth": lambda device, _: _on_cpu(Smooth(), device),
    "dmm": _neural,
    "monge-ampere": lambda device, _: _on_cpu(MongeAmpere(), device),
}
NAMES = ("auto", *sorted(MOVERS))


def mover_of(mover: Any, device: str | None = None, for_field: bool = False, objective: str = "alignment") -> Mover:
    """The mover of a name, or a `Mover` itself.

    Parameters
    ----------
    mover
        "auto", a name of `MOVERS`, or an object with a name that can be called with a `Problem`.
    device
        Of the mover "dmm"; an object has its own.
    for_field
        What "auto" needs to know: the monitor is made from a field.
    objective
        And what is to be made of the field: "alignment" or "equidistribution".

    Raises
    ------
    ValueError
        An unknown name, something that is no mover, or a device that the mover has no use for.

    Examples
    --------
    >>> mover_of("monge-ampere") == MongeAmpere()
    True
    >>> mover_of("auto", for_field=True, objective="equidistribution").name
    'monge-ampere, distortion 0.05'
    """
    if not isinstance(mover, str):
        named = isinstance(getattr(mover, "name", None), str)
        if isinstance(mover, type) or not callable(mover) or not named:
            kind = f"the class {mover.__name__}, not one of its objects" if isinstance(mover, type) else None
            raise ValueError(f"Expected a mover by name, or a Mover (got {kind or type(mover).__name__})")
        if objective == "equidistribution" and is_dataclass(mover) and hasattr(mover, "objective"):
            mover = replace(cast(Any, mover), objective=objective)
        return _on_cpu(mover, device)
    if mover == "auto":
        name = f"{MongeAmpere.name}, distortion {FIELD_DISTORTION:g}"
        chosen: Mover = MongeAmpere(distortion=FIELD_DISTORTION, name=name) if for_field else MongeAmpere()
        if for_field and objective == "alignment":
            chosen = Align(chosen)
        return _on_cpu(chosen, device)
    if mover not in MOVERS:
        raise ValueError(f"Expected a mover of {', '.join(map(repr, NAMES))}, or a Mover (got {shown(mover)})")
    return MOVERS[mover](device, objective)


def _on_cpu(mover: Mover, device: Any) -> Mover:
    if device is not None and not (isinstance(device, str) and device == "cpu"):
        raise ValueError(f"Expected device None or 'cpu' for the mover {mover.name!r} (got {shown(device)})")
    return mover
