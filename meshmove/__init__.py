"""Moves the nodes of any finite element mesh to where the solution needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

#: public name -> module that holds it; imported on first use, so that `import meshmove` costs next to nothing
_WHERE = {
    "Adaptation": "meshmove.adaptation",
    "DMM": "meshmove.neural",
    "FieldError": "meshmove.geometry.errors",
    "InvalidMeshError": "meshmove.geometry.errors",
    "LoopResult": "meshmove.loop",
    "MeshBatch": "meshmove.neural",
    "MeshFileError": "meshmove.io",
    "MeshFileWarning": "meshmove.io",
    "MeshmoveError": "meshmove.geometry.errors",
    "MongeAmpere": "meshmove.movers",
    "Monitor": "meshmove.monitors",
    "MonitorError": "meshmove.geometry.errors",
    "MoverError": "meshmove.geometry.errors",
    "MovingMesh": "meshmove.loop",
    "Neural": "meshmove.neural",
    "Report": "meshmove.adaptation",
    "Smooth": "meshmove.movers",
    "TangledMeshError": "meshmove.geometry.errors",
    "UnsupportedMeshError": "meshmove.geometry.errors",
    "WeightsError": "meshmove.neural",
    "adapt": "meshmove._adapt",
    "adapt_loop": "meshmove.loop",
    "load": "meshmove.io",
    "save": "meshmove.io",
}

__all__ = sorted([*_WHERE, "__version__"])  # noqa: PLE0605

if TYPE_CHECKING:
    from meshmove._adapt import adapt as adapt
    from meshmove.adaptation import Adaptation as Adaptation
    from meshmove.adaptation import Report as Report
    from meshmove.geometry.errors import FieldError as FieldError
    from meshmove.geometry.errors import InvalidMeshError as InvalidMeshError
    from meshmove.geometry.errors import MeshmoveError as MeshmoveError
    from meshmove.geometry.errors import MonitorError as MonitorError
    from meshmove.geometry.errors import MoverError as MoverError
    from meshmove.geometry.errors import TangledMeshError as TangledMeshError
    from meshmove.geometry.errors import UnsupportedMeshError as UnsupportedMeshError
    from meshmove.io import MeshFileError as MeshFileError
    from meshmove.io import MeshFileWarning as MeshFileWarning
    from meshmove.io import load as load
    from meshmove.io import save as save
    from meshmove.loop import LoopResult as LoopResult
    from meshmove.loop import MovingMesh as MovingMesh
    from meshmove.loop import adapt_loop as adapt_loop
    from meshmove.monitors import Monitor as Monitor
    from meshmove.movers import MongeAmpere as MongeAmpere
    from meshmove.movers import Smooth as Smooth
    from meshmove.neural import DMM as DMM
    from meshmove.neural import MeshBatch as MeshBatch
    from meshmove.neural import Neural as Neural
    from meshmove.neural import WeightsError as WeightsError


def __getattr__(name: str) -> object:
    if name in _WHERE:
        from importlib import import_module

        value = getattr(import_module(_WHERE[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'meshmove' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_WHERE])
