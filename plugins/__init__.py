"""Thin converters between meshmove and other mesh libraries, and pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

#: public name -> module that holds it; imported on first use, since each needs a library that may not be installed
_WHERE = {
    "animate": "meshmove.plugins.pictures.films",
    "plot": "meshmove.plugins.pictures.meshes",
    "plot_history": "meshmove.plugins.pictures.solutions",
    "plot_solution": "meshmove.plugins.pictures.solutions",
    "view": "meshmove.plugins.pictures.slider",
}

__all__ = sorted(_WHERE)  # noqa: PLE0605

if TYPE_CHECKING:
    from .pictures.films import animate as animate
    from .pictures.meshes import plot as plot
    from .pictures.slider import view as view
    from .pictures.solutions import plot_history as plot_history
    from .pictures.solutions import plot_solution as plot_solution


def __getattr__(name: str) -> object:
    if name in _WHERE:
        from importlib import import_module

        value = getattr(import_module(_WHERE[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'meshmove.plugins' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_WHERE])
