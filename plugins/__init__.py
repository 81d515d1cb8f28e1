"""Thin converters between meshmove and other mesh libraries, and pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

#: public name -> module that holds it; imported on first use, since each needs a library that may not be installed
_WHERE = {
    "animate": "meshmove.plugins.trajectories",
    "plot": "meshmove.plugins.plotting",
    "plot_history": "meshmove.plugins.solutions",
    "plot_solution": "meshmove.plugins.solutions",
}

__all__ = sorted(_WHERE)  # noqa: PLE0605

if TYPE_CHECKING:
    from meshmove.plugins.plotting import plot as plot
    from meshmove.plugins.solutions import plot_history as plot_history
    from meshmove.plugins.solutions import plot_solution as plot_solution
    from meshmove.plugins.trajectories import animate as animate


def __getattr__(name: str) -> object:
    if name in _WHERE:
        from importlib import import_module

        value = getattr(import_module(_WHERE[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'meshmove.plugins' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_WHERE])
