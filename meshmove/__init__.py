"""Moves the nodes of any finite element mesh to where the solution needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .moved import install

__version__ = "0.1.0"

#: public name -> module that holds it; imported on first use, so that `import meshmove` costs next to nothing
_WHERE = {
    "Adaptation": "meshmove.adaptation.result",
    "DMM": "meshmove.neural",
    "EnergyError": "meshmove.geometry.errors",
    "Failure": "meshmove.adaptation.failures",
    "FieldError": "meshmove.geometry.errors",
    "GoalError": "meshmove.geometry.errors",
    "InvalidMeshError": "meshmove.geometry.errors",
    "LoopResult": "meshmove.adaptation.loops.loop",
    "MeshBatch": "meshmove.neural",
    "MeshFileError": "meshmove.meshes.files.io",
    "MeshFileWarning": "meshmove.meshes.files.io",
    "MeshmoveError": "meshmove.geometry.errors",
    "MongeAmpere": "meshmove.movers",
    "Monitor": "meshmove.monitors",
    "MonitorError": "meshmove.geometry.errors",
    "MoverError": "meshmove.geometry.errors",
    "MovingMesh": "meshmove.motion.moving_mesh",
    "Neural": "meshmove.neural",
    "Outcome": "meshmove.outcomes",
    "Report": "meshmove.adaptation.result",
    "Smooth": "meshmove.movers",
    "TangledMeshError": "meshmove.geometry.errors",
    "UnsupportedMeshError": "meshmove.geometry.errors",
    "WeightsError": "meshmove.neural",
    "adapt": "meshmove.adaptation.adapt",
    "adapt_loop": "meshmove.adaptation.loops.loop",
    "adapt_many": "meshmove.adaptation.many",
    "animate": "meshmove.plugins.pictures.films",
    "load": "meshmove.meshes.files.io",
    "save": "meshmove.meshes.files.io",
}

__all__ = sorted([*_WHERE, "__version__"])  # noqa: PLE0605

if TYPE_CHECKING:
    from meshmove.adaptation.adapt import adapt as adapt
    from meshmove.adaptation.failures import Failure as Failure
    from meshmove.adaptation.loops.loop import LoopResult as LoopResult
    from meshmove.adaptation.loops.loop import adapt_loop as adapt_loop
    from meshmove.adaptation.many import adapt_many as adapt_many
    from meshmove.adaptation.result import Adaptation as Adaptation
    from meshmove.adaptation.result import Report as Report
    from meshmove.geometry.errors import EnergyError as EnergyError
    from meshmove.geometry.errors import FieldError as FieldError
    from meshmove.geometry.errors import GoalError as GoalError
    from meshmove.geometry.errors import InvalidMeshError as InvalidMeshError
    from meshmove.geometry.errors import MeshmoveError as MeshmoveError
    from meshmove.geometry.errors import MonitorError as MonitorError
    from meshmove.geometry.errors import MoverError as MoverError
    from meshmove.geometry.errors import TangledMeshError as TangledMeshError
    from meshmove.geometry.errors import UnsupportedMeshError as UnsupportedMeshError
    from meshmove.meshes.files.io import MeshFileError as MeshFileError
    from meshmove.meshes.files.io import MeshFileWarning as MeshFileWarning
    from meshmove.meshes.files.io import load as load
    from meshmove.meshes.files.io import save as save
    from meshmove.monitors import Monitor as Monitor
    from meshmove.motion.moving_mesh import MovingMesh as MovingMesh
    from meshmove.movers import MongeAmpere as MongeAmpere
    from meshmove.movers import Smooth as Smooth
    from meshmove.neural import DMM as DMM
    from meshmove.neural import MeshBatch as MeshBatch
    from meshmove.neural import Neural as Neural
    from meshmove.neural import WeightsError as WeightsError
    from meshmove.outcomes import Outcome as Outcome
    from meshmove.plugins.pictures.films import animate as animate


install()


def __getattr__(name: str) -> object:
    if name in _WHERE:
        from meshmove.optional import found_in

        value = found_in(_WHERE[name], name)
        globals()[name] = value
        return value
    if name == "samples":
        import meshmove.samples as samples

        return samples
    raise AttributeError(f"module 'meshmove' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_WHERE])
