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

from dataclasses import replace
from typing import Any

import numpy as np
import skfem
from scipy.sparse import csr_matrix

from meshmove.geometry.arrays import Array
from meshmove.geometry.cells.quadrature import gauss
from meshmove.motion.step import Step

from ..coefficients import coefficient_at, speed_at
from .assembly import Quadrature, at_points
from .solving import Matrices

__all__ = ["BDF2", "conservative", "convective"]


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
    at = _quadrature(step, step.middle, element, intorder)
    away = speed_at(at.basis, speed) - _nodal(at.basis, _velocity(step))
    operator = _convective(at, away, diffusion, reaction)
    return _crank_nicolson(step.dt, at.mass, at.mass, operator, _load(at, source), at.basis)


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
    at = _quadrature(step, step.middle, element, intorder)
    local = _symmetric(at, diffusion, reaction) - at.products(at.along(speed_at(at.basis, speed)), at.values)
    operator = at.matrix(local) + _swept(step, element, intorder)
    new, old = (_quadrature(step, mesh, element, intorder).mass for mesh in (step.mesh, step.old))
    return _crank_nicolson(step.dt, new, old, operator, _load(at, source), at.basis)


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
        at = _quadrature(step, step.mesh, element, intorder)
        away = speed_at(at.basis, speed) - _nodal(at.basis, positions)
        operator = _convective(at, away, diffusion, reaction)
        load = step.dt * _load(at, source) - past * (at.mass @ earlier)
        return Matrices((new * at.mass + step.dt * operator).tocsr(), (now * at.mass).tocsr(), load, at.basis)


# -- parts of them -----------------------------------------------------------------------------------------------------


def _symmetric(at: Quadrature, diffusion: Any, reaction: Any) -> Any:
    """(N, N, cells), or 0: what is the same in both forms."""
    kappa, r = coefficient_at(at.basis, diffusion), coefficient_at(at.basis, reaction)
    out = 0.0 if _nothing(r) else at.products(at.values, at.values, r)
    return out if _nothing(kappa) else out + at.diffusion(kappa)


def _convective(at: Quadrature, away: Array, diffusion: Any, reaction: Any) -> csr_matrix:
    """`away` (dim, cells, points): the speed less that of the mesh."""
    return at.matrix(_symmetric(at, diffusion, reaction) + at.products(at.values, at.along(away)))


def _nothing(values: Any) -> bool:
    return bool(np.ndim(values) == 0 and values == 0)


def _swept(step: Step, element: skfem.Element, intorder: int | None) -> csr_matrix:
    """(w phi_j, grad phi_i) over the step: at its middle in two dimensions, at the two points of Gauss in three.

    Its rows sum to what (1, phi_i) loses in the step, exactly: the geometric conservation law.
    """
    places, weights = gauss(step.mesh.dim() - 1)
    parts = []
    for place, weight in zip(places, weights, strict=True):
        at = _quadrature(step, _between(step, place), element, intorder)
        parts.append(at.matrix(at.products(at.along(_nodal(at.basis, _velocity(step))), at.values, weight)))
    return sum(parts[1:], parts[0])


def _between(step: Step, place: float) -> skfem.Mesh:
    """The mesh at a share of the step."""
    if place == 0.5:
        return step.middle
    return replace(step.old, doflocs=step.old.doflocs + place * (step.mesh.doflocs - step.old.doflocs))


def _crank_nicolson(
    dt: float, new: csr_matrix, old: csr_matrix, operator: csr_matrix, load: Array, basis: skfem.CellBasis
) -> Matrices:
    half = 0.5 * dt * operator
    return Matrices((new + half).tocsr(), (old - half).tocsr(), dt * load, basis)


def _load(at: Quadrature, source: Any) -> Array:
    values = coefficient_at(at.basis, source)
    return np.zeros(at.basis.N) if _nothing(values) else at.vector(values)


def _velocity(step: Step) -> Array:
    """(dim, n_nodes): of the mesh."""
    return (step.mesh.doflocs - step.old.doflocs) / step.dt


def _nodal(basis: skfem.CellBasis, nodes: Array) -> Array:
    """Vectors (dim, n_nodes) at the mesh's nodes, at the quadrature points."""
    own = basis if type(basis.elem) is basis.mesh.elem else basis.with_element(basis.mesh.elem())
    return at_points(own, basis.mesh.dofs.element_dofs, nodes)


def _quadrature(step: Step, mesh: skfem.Mesh, element: skfem.Element, intorder: int | None) -> Quadrature:
    """What is assembled with on a mesh of a step, which keeps it for rounds and for several equations."""
    order = 2 * element.maxdeg if intorder is None else intorder
    kept = vars(step).setdefault("_assembled", [])
    for where, of, upto, at in kept:
        if where is mesh and upto == order and (of is element or type(of) is type(element) and not vars(of)):
            return at
    at = Quadrature(skfem.Basis(mesh, element, intorder=order))
    kept.append((mesh, element, order, at))
    return at
