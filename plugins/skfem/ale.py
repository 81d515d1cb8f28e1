r"""Transport equations on a mesh that moves, in scikit-fem: arbitrary Lagrangian-Eulerian (ALE) steps.

The equation is

.. math:: u_t + c \cdot \nabla u - \nabla \cdot (\kappa \nabla u) + r u = f

(convective form, `convective`), or u_t + div(c u) - ... = f (conservative form, `conservative`). Nodes move with the
velocity w from the mesh at t_n to that at t_{n+1}, and nodal values ride on them: shape functions are constant along
the motion, so that the derivative in time of u_h = sum_j u_j(t) phi_j at a fixed place is sum_j u_j' phi_j - w . grad
u_h.

*Convective form*, Crank-Nicolson, on the mesh half-way:

.. math:: (M + \tfrac{dt}{2} A) u^{n+1} = (M - \tfrac{dt}{2} A) u^n + dt\, F, \qquad
          A_{ij} = (\kappa \nabla \phi_j, \nabla \phi_i) + ((c - w) \cdot \nabla \phi_j, \phi_i) + (r \phi_j, \phi_i).

The row sums of A vanish where r is zero: a constant stays constant whatever the motion.

*Conservative form*, with the mass matrices of both meshes and integration by parts:

.. math:: (M_{n+1} + \tfrac{dt}{2} B) u^{n+1} = (M_n - \tfrac{dt}{2} B) u^n + dt\, F, \qquad
          B_{ij} = (\kappa \nabla \phi_j, \nabla \phi_i) - (\phi_j (c - w), \nabla \phi_i) + (r \phi_j, \phi_i).

The columns of B sum to the outflow through the boundary alone, which is left out: the mass (1, u) is kept to rounding
where nothing enters or leaves. That a constant stays constant, too, is the geometric conservation law: M_{n+1} - M_n =
dt (phi_i phi_j, div w) exactly. In two dimensions the determinant is quadratic in time, so that its rate integrates
exactly at the middle; in three it is cubic, and the integral is taken at the two points of Gauss (Lesoinne & Farhat,
Comput. Methods Appl. Mech. Eng. 134, 1996; Formaggia & Nobile, Comput. Methods Appl. Mech. Eng. 193, 2004).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import skfem
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from skfem.helpers import dot, grad

from meshmove.geometry.arrays import Array
from meshmove.geometry.cells.quadrature import gauss
from meshmove.motion.step import Step

from .coefficients import coefficient_at, dofs_of, speed_at

__all__ = ["BDF2", "Matrices", "conservative", "convective"]


@dataclass(frozen=True, eq=False)
class Matrices:
    """One step as matrices: ``left @ new = right @ old + load``.

    `basis`: where functions of the step are to be assembled, on the mesh half-way.
    """

    left: csr_matrix
    right: csr_matrix
    load: Array
    basis: skfem.CellBasis

    def solve(self, old: Array, *, fixed: Any = None, values: Any = 0.0) -> Array:
        """The new dofs; those of `fixed` have `values` (k,) or one value.

        `fixed`: ids (k,), a mask (N,), or what `basis.get_dofs` gives.
        """
        right = self.right @ old + self.load
        if fixed is None:
            return skfem.solve(self.left, right)
        given = fixed.flatten() if hasattr(fixed, "flatten") and not isinstance(fixed, np.ndarray) else fixed
        ids = dofs_of(given, len(right))
        x = np.zeros(len(right), np.result_type(self.left.dtype, right, np.asarray(values)))
        x[ids] = values
        return skfem.solve(*skfem.condense(self.left, right.astype(x.dtype), x=x, D=ids))


def convective(
    step: Step,
    element: skfem.Element,
    *,
    speed: Any = None,
    diffusion: Any = 0.0,
    reaction: Any = 0.0,
    source: Any = 0.0,
    intorder: int | None = None,
) -> Matrices:
    """A Crank-Nicolson step of u_t + speed . grad u - div(diffusion grad u) + reaction u = source.

    Second order in time, for values that ride on the nodes (`step.material`).

    Parameters
    ----------
    step
        Of a `MovingMesh` of scikit-fem.
    element
        Continuous, such as ``skfem.ElementTriP1()``.
    speed, diffusion, reaction, source
        At the middle of the step: numbers, functions of x (dim, ...) that give scalars or, for the speed, (dim, ...),
        or dofs of `element` (for the speed of a vector of it); None or 0 where there is none.
    intorder
        Order of quadrature; by default that of the mass matrix.

    Returns
    -------
    Matrices
    """
    basis = _basis(step.middle, element, intorder)
    away = _relative(step, basis, speed)
    own = {"diffusion": coefficient_at(basis, diffusion), "reaction": coefficient_at(basis, reaction)}
    operator = _assembled(_convective, basis, away=away, **own)
    mass = _mass.assemble(basis)
    return _crank_nicolson(step.dt, mass, mass, operator, _load(basis, source))


def conservative(
    step: Step,
    element: skfem.Element,
    *,
    speed: Any = None,
    diffusion: Any = 0.0,
    reaction: Any = 0.0,
    source: Any = 0.0,
    intorder: int | None = None,
) -> Matrices:
    """A Crank-Nicolson step of u_t + div(speed u) - div(diffusion grad u) + reaction u = source.

    Nothing flows through the boundary unless values are fixed there: the mass (1, u) is kept to rounding. Where nodes
    glide on a curved boundary the domain itself changes, by what their chords cut off: then the mass is kept all the
    same, and a constant changes in the cells there. Parameters as for `convective`.
    """
    basis = _basis(step.middle, element, intorder)
    own = {"diffusion": coefficient_at(basis, diffusion), "reaction": coefficient_at(basis, reaction)}
    operator = _assembled(_flux, basis, speed=speed_at(basis, speed), **own) + _swept(step, element, intorder)
    new, old = (_mass.assemble(_basis(mesh, element, intorder)) for mesh in (step.mesh, step.old))
    return _crank_nicolson(step.dt, new, old, operator, _load(basis, source))


class BDF2:
    r"""Steps of the second-order backward difference formula in convective form, on the mesh at the end of the step.

    .. math:: M \Bigl( \tfrac{1 + 2r}{1 + r} u^{n+1} - (1 + r) u^n + \tfrac{r^2}{1 + r} u^{n-1} \Bigr)
              + dt A u^{n+1} = dt F

    with r the ratio of this step to the last. The velocity in A is that of the same formula for positions, so that a
    field that is linear in space and constant in time stays as it is. It damps what is stiff, which Crank-Nicolson does
    not. The first step is one of Crank-Nicolson.
    """

    def __init__(self) -> None:
        self._before: tuple[Array, Any, float] | None = None

    def step(
        self,
        step: Step,
        element: skfem.Element,
        old: Array,
        *,
        speed: Any = None,
        diffusion: Any = 0.0,
        reaction: Any = 0.0,
        source: Any = 0.0,
        intorder: int | None = None,
    ) -> Matrices:
        """As `convective`, with coefficients at the end of the step; `old` are the dofs that it starts from."""
        coefficients: dict[str, Any] = {"diffusion": diffusion, "reaction": reaction, "source": source}
        before, self._before = self._before, (np.array(old), step.old, step.dt)
        if before is None:
            return convective(step, element, speed=speed, intorder=intorder, **coefficients)
        earlier, mesh, last = before
        r = step.dt / last
        new, now, past = (1 + 2 * r) / (1 + r), 1 + r, r * r / (1 + r)
        positions = (new * step.mesh.doflocs - now * step.old.doflocs + past * mesh.doflocs) / step.dt
        basis = _basis(step.mesh, element, intorder)
        away = speed_at(basis, speed) - _nodal(basis, positions)
        own = {"diffusion": coefficient_at(basis, diffusion), "reaction": coefficient_at(basis, reaction)}
        operator = _assembled(_convective, basis, away=away, **own)
        mass = _mass.assemble(basis)
        load = step.dt * _load(basis, source)[0] - past * (mass @ earlier)
        return Matrices((new * mass + step.dt * operator).tocsr(), (now * mass).tocsr(), load, basis)


# -- forms -------------------------------------------------------------------------------------------------------------


@skfem.BilinearForm
def _mass(u: Any, v: Any, w: Any) -> Any:
    return u * v


@skfem.BilinearForm
def _convective(u: Any, v: Any, w: Any) -> Any:
    return w["diffusion"] * dot(grad(u), grad(v)) + dot(w["away"], grad(u)) * v + w["reaction"] * u * v


@skfem.BilinearForm
def _flux(u: Any, v: Any, w: Any) -> Any:
    return w["diffusion"] * dot(grad(u), grad(v)) - u * dot(w["speed"], grad(v)) + w["reaction"] * u * v


@skfem.BilinearForm
def _sweeping(u: Any, v: Any, w: Any) -> Any:
    return u * dot(w["velocity"], grad(v))


@skfem.LinearForm
def _loaded(v: Any, w: Any) -> Any:
    return w["source"] * v


def _crank_nicolson(
    dt: float, new: csr_matrix, old: csr_matrix, operator: csr_matrix, load: tuple[Array, skfem.CellBasis]
) -> Matrices:
    half = 0.5 * dt * operator
    return Matrices((new + half).tocsr(), (old - half).tocsr(), dt * load[0], load[1])


def _swept(step: Step, element: skfem.Element, intorder: int | None) -> csr_matrix:
    """(w phi_j, grad phi_i) over the step: at its middle in two dimensions, at the two points of Gauss in three.

    Its rows sum to what (1, phi_i) loses in the step, exactly: the geometric conservation law.
    """
    places, weights = gauss(step.mesh.dim() - 1)
    velocity = (step.mesh.doflocs - step.old.doflocs) / step.dt
    parts = []
    for place, weight in zip(places, weights, strict=True):
        there = replace(step.old, doflocs=step.old.doflocs + place * (step.mesh.doflocs - step.old.doflocs))
        basis = _basis(there, element, intorder)
        parts.append(_sweeping.assemble(basis, velocity=_nodal(basis, velocity)) * weight)
    return sum(parts[1:], parts[0])


def _assembled(form: Any, basis: skfem.CellBasis, **own: Any) -> Any:
    """The matrix or vector of a form that is linear in coefficients `own`, of which any may be complex."""
    if not any(np.iscomplexobj(c) for c in own.values()):
        return form.assemble(basis, **own)
    parts = ({name: take(c) for name, c in own.items()} for take in (np.real, np.imag))
    return form.assemble(basis, **next(parts)) + 1j * form.assemble(basis, **next(parts))


# -- what users give ---------------------------------------------------------------------------------------------------


def _basis(mesh: skfem.Mesh, element: skfem.Element, intorder: int | None) -> skfem.CellBasis:
    return skfem.Basis(mesh, element, intorder=2 * element.maxdeg if intorder is None else intorder)


def _nodal(basis: skfem.CellBasis, nodes: Array) -> Any:
    """A vector (dim, n_nodes) at the mesh's nodes as a discrete field."""
    vector = basis.with_element(skfem.ElementVector(basis.mesh.elem()))
    dofs = np.zeros(vector.N)
    for c in range(len(nodes)):
        dofs[_component(vector, c)] = nodes[c]
    return vector.interpolate(dofs)


def _component(vector: skfem.CellBasis, c: int) -> NDArray[np.int64]:
    """Dof (n_nodes,) of one component of a vector of the mesh's own element at each of its nodes."""
    dim = vector.mesh.dim()
    own, every = vector.mesh.dofs.element_dofs, vector.element_dofs[c::dim]
    out = np.empty(vector.mesh.doflocs.shape[1], np.int64)
    out[own] = every
    return out


def _relative(step: Step, basis: skfem.CellBasis, speed: Any) -> Any:
    """The speed less that of the mesh."""
    return speed_at(basis, speed) - np.asarray(_nodal(basis, (step.mesh.doflocs - step.old.doflocs) / step.dt))


def _load(basis: skfem.CellBasis, source: Any) -> tuple[Array, skfem.CellBasis]:
    values = coefficient_at(basis, source)
    if np.ndim(values) == 0 and not values:
        return np.zeros(basis.N), basis
    return _assembled(_loaded, basis, source=values), basis
