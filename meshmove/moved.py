"""Modules that have moved: their old names still import, with a `DeprecationWarning` that names the new ones."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["MOVED", "install"]

#: old name -> new one; what lay below an old name lies below the new one
MOVED = {
    "meshmove.adaptation.descent": "meshmove.adaptation.loops.descent",
    "meshmove.adaptation.energy": "meshmove.adaptation.loops.energy",
    "meshmove.adaptation.following": "meshmove.motion.frames",
    "meshmove.adaptation.goals": "meshmove.adaptation.loops.goals",
    "meshmove.adaptation.loop": "meshmove.adaptation.loops.loop",
    "meshmove.geometry.bernstein": "meshmove.geometry.cells.bernstein",
    "meshmove.geometry.boundary": "meshmove.geometry.sliding",
    "meshmove.geometry.curvilinear": "meshmove.geometry.cells.curvilinear",
    "meshmove.geometry.sliding.normals": "meshmove.geometry.sliding.smooth.normals",
    "meshmove.geometry.sliding.patches": "meshmove.geometry.sliding.smooth.patches",
    "meshmove.inputs": "meshmove.meshes.source",
    "meshmove.io": "meshmove.meshes.files.io",
    "meshmove.loop": "meshmove.adaptation.loops.loop",
    "meshmove.meshes.files.groups": "meshmove.meshes.files.cell_sets",
    "meshmove.motion.follower": "meshmove.motion.following.follower",
    "meshmove.motion.pace": "meshmove.motion.following.pace",
    "meshmove.motion.places": "meshmove.motion.following.places",
    "meshmove.motion.target": "meshmove.motion.following.places",
    "meshmove.movers.functional": "meshmove.movers.objectives.equidistribution",
    "meshmove.movers.alignment": "meshmove.movers.objectives.alignment",
    "meshmove.movers.gauss_newton": "meshmove.movers.descent.gauss_newton",
    "meshmove.movers.relaxation": "meshmove.movers.descent.relaxation",
    "meshmove.movers.minimise": "meshmove.movers.descent",
    "meshmove.neural.fit": "meshmove.neural.training.fit",
    "meshmove.neural.weights": "meshmove.learning.weights",
    "meshmove.registry": "meshmove.meshes.registry",
    "meshmove.training": "meshmove.procedural",
    "meshmove.plugins.plotting": "meshmove.plugins.pictures.meshes",
    "meshmove.plugins.skfem.carry": "meshmove.plugins.skfem.carried_dofs",
    "meshmove.plugins.solutions": "meshmove.plugins.pictures.solutions",
    "meshmove.plugins.trajectories": "meshmove.plugins.pictures.animation",
    "meshmove.solvers.data.advection": "meshmove.solvers.generators.advection",
    "meshmove.solvers.data.burgers": "meshmove.solvers.generators.burgers",
    "meshmove.solvers.data.flow": "meshmove.solvers.fem.flow",
    "meshmove.solvers.data.gray_scott": "meshmove.solvers.generators.gray_scott",
    "meshmove.solvers.data.wake": "meshmove.solvers.generators.wake",
    "meshmove.solvers.hypino.model": "meshmove.solvers.hypino.network",
    "meshmove.solvers.hypino.solution": "meshmove.solvers.solution.solution",
    "meshmove.solvers.hypino.sweeps": "meshmove.solvers.hypino.rough_solution",
    "meshmove.solvers.hypino.target": "meshmove.solvers.hypino.emitted",
    "meshmove.solvers.mmpde.known": "meshmove.solvers.mmpde.prior.known",
    "meshmove.solvers.mmpde.model": "meshmove.solvers.mmpde.network",
    "meshmove.solvers.mmpde.rest": "meshmove.solvers.mmpde.prior.rest",
    "meshmove.solvers.mmpde.seen": "meshmove.solvers.mmpde.prior.seen",
    "meshmove.solvers.mmpde.shapes": "meshmove.solvers.mmpde.prior.shapes",
    "meshmove.solvers.mmpde.trajectory": "meshmove.solvers.mmpde.rollout",
    "meshmove.solvers.pde.evaluation": "meshmove.solvers.fem.evaluation",
    "meshmove.solvers.pde.finite_elements": "meshmove.solvers.fem.linear",
    "meshmove.solvers.pde.references": "meshmove.solvers.fem.published_problems",
    "meshmove.solvers.poisson": "meshmove.solvers.fem.poisson",
    "meshmove.solvers.projection.knowing": "meshmove.solvers.projection.features.singular",
    "meshmove.solvers.training": "meshmove.solvers.hypino.training",
}


class _Finder(MetaPathFinder, Loader):
    """Finds a module of an old name, and puts the one of the new name in its place."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name.startswith("meshmove.") and _today(name) else None

    def exec_module(self, module: ModuleType) -> None:
        old = module.__name__
        new = _today(old)
        assert new is not None
        warnings.warn(f"the module {old} has moved to {new}", DeprecationWarning, stacklevel=2)
        sys.modules[old] = import_module(new)


def _today(name: str) -> str | None:
    for old, new in MOVED.items():
        if name == old or name.startswith(f"{old}."):
            return new + name[len(old) :]
    return None


def install() -> None:
    """Let old names be found."""
    if not any(type(f).__name__ == _Finder.__name__ and f.__module__ == __name__ for f in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
