"""Energies of scikit-fem's users, as `adapt_loop` asks for them: values, forces on nodes, and whether they fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import skfem
from numpy.typing import NDArray
from skfem.quadrature import get_quadrature

from meshmove.adaptation.loops.energy import Examined
from meshmove.geometry.arrays import Array
from meshmove.geometry.errors import EnergyError, first_ids

from .bases import pair_of
from .energy import Integral, integrals, is_form, terms_of

__all__ = ["SkfemEnergy", "energy_of_forms"]


#: a derivative by a degree of freedom of this share of what adds up to it is not zero: a source that is integrated by
#: another rule than the energy's leaves more, a solver's tolerance of 1e-5 less
STATIONARY = 3e-3
#: of what adds up to it: a smaller reaction is none
REACTION = 1e-6
#: of rules that are looked for
HIGHEST = 40
#: of the largest value: smaller changes along a facet are rounding errors
CHANGE = 1e-9


def energy_of_forms(energy: Any) -> SkfemEnergy | None:
    """The energy of a `Functional`, or of a list of forms and pairs (form, name); None for anything else."""
    several = energy if isinstance(energy, list | tuple) else [energy]
    parts = [part[0] if isinstance(part, list | tuple) and part else part for part in several]
    return SkfemEnergy(energy) if any(is_form(part) for part in parts) else None


class SkfemEnergy:
    """The sum of some forms of a solution; see `meshmove.adaptation.loops.energy.EnergyOfMesh`."""

    def __init__(self, energy: Any) -> None:
        self._terms = terms_of(energy)

    def _integrals(self, mesh: skfem.Mesh, field: Any) -> tuple[Any, Array, list[Integral]]:
        if isinstance(field, np.ndarray):
            field = skfem.Basis(mesh, mesh.elem()), field
        basis, dofs = pair_of(mesh, field)
        return basis, np.asarray(dofs), integrals(self._terms, basis, dofs)

    def __call__(self, mesh: skfem.Mesh, field: Any) -> tuple[float, Array]:
        """The value, and its derivatives (n_nodes, dim) by the nodes, the degrees of freedom staying as they are."""
        _, _, parts = self._integrals(mesh, field)
        return sum(p.value for p in parts), np.sum([p.by_nodes() for p in parts], axis=0)

    def finer(self, mesh: skfem.Mesh, field: Any) -> float:
        """The value by finer rules in cells and on facets, where scikit-fem has them."""
        basis, dofs, _ = self._integrals(mesh, field)
        domain, usual = basis.elem.refdom, 2 * basis.elem.maxdeg
        rule = _finer_rule(domain, len(basis.W)) or (basis.X, basis.W)
        terms = [replace(t, intorder=_finer_order(domain.brefdom, t.intorder or usual)) for t in self._terms]
        return sum(p.value for p in integrals(terms, skfem.Basis(mesh, basis.elem, quadrature=rule), dofs))

    def examined(self, mesh: skfem.Mesh, field: Any, pinned: NDArray[np.bool_]) -> Examined:
        """The gap by a smoother gradient; nodes of facets along which prescribed values change are held.

        Raises
        ------
        EnergyError
            A derivative by a degree of freedom is not zero that is neither on the boundary nor at a pinned node.
        """
        basis, dofs, parts = self._integrals(mesh, field)
        slopes, sizes = np.sum([p.by_dofs() for p in parts], axis=0)
        self._check(basis, slopes, sizes, pinned)
        reacting = np.abs(slopes) > REACTION * sizes
        return Examined(sum(p.gap() for p in parts), _held(basis, dofs, reacting), stationary=True)

    def _check(self, basis: Any, slopes: Array, sizes: Array, pinned: NDArray[np.bool_]) -> None:
        free = np.ones(basis.N, bool)
        free[basis.get_dofs().all()] = False
        free[np.unique(basis.nodal_dofs[:, pinned[: basis.nodal_dofs.shape[1]]])] = False
        usual = float(np.sqrt(np.mean(sizes[free] ** 2))) if free.any() else 1.0
        share = np.where(free, np.abs(slopes), 0.0) / max(usual, 1e-300)
        bad = np.flatnonzero(share > STATIONARY)
        if len(bad):
            names = ", ".join(t.name for t in self._terms)
            raise EnergyError(
                f"Expected an energy that is stationary at the solution (the derivative of {names} by {len(bad)} of "
                f"{int(free.sum())} free degrees of freedom is not zero, but up to {share.max():.2g} of its usual "
                f"parts: {first_ids(bad)}). Its derivative must be the equation that `solve` solves, all terms and "
                "factors alike, integrated by the same rule: return (basis, dofs) of the basis that the forms are "
                "assembled on, and pin nodes inside whose values are prescribed by fixed="
            )


def _rule(domain: Any, order: int) -> tuple[Array, Array] | None:
    """scikit-fem's rule of an order, None beyond those that it has."""
    try:
        return get_quadrature(domain, order)
    except NotImplementedError:
        return None


def _finer_rule(domain: Any, points: int) -> tuple[Array, Array] | None:
    """The least rule of more than twice as many points."""
    rules = (_rule(domain, order) for order in range(1, HIGHEST))
    return next((rule for rule in rules if rule is not None and len(rule[1]) > 2 * points), None)


def _finer_order(domain: Any, order: int) -> int:
    """More than twice an order, as far as there are rules."""
    return next((k for k in range(2 * order + 2, order, -1) if _rule(domain, k) is not None), order)


def _held(basis: Any, dofs: Array, reacting: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Nodes (n_nodes,) of boundary facets whose every vertex reacts in a component that changes along the facet."""
    mesh = basis.mesh
    facets = mesh.boundary_facets()
    trace = skfem.FacetBasis(mesh, basis.elem, facets=facets, disable_doflocs=True)
    u = np.asarray(trace.interpolate(dofs)).reshape(-1, *trace.dx.shape)
    change = np.ptp(u, axis=2) > CHANGE * np.abs(dofs).max(initial=0.0)  # (components, facets)
    nodal = np.atleast_2d(basis.nodal_dofs)
    if len(nodal) != len(change):  # vertices have no values of their own: any reaction counts
        held = change.any(axis=0)
    else:
        held = (change & reacting[nodal[:, mesh.facets[:, facets]]].all(axis=1)).any(axis=0)
    out = np.zeros(mesh.p.shape[1], bool)
    out[np.unique(mesh.facets[:, facets[held]])] = True
    return out
