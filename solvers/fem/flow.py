r"""Incompressible flow in the plane by Taylor-Hood elements and incremental pressure correction.

    u_t + (u . grad) u - nu Laplace(u) + grad p = 0,  div u = 0.

Velocity is P2, pressure P1, time the second backward difference with extrapolated convection and an incremental
correction of the pressure (Guermond, Minev & Shen, An overview of projection methods for incompressible flows, Comput.
Methods Appl. Mech. Engrg. 195, 2006, sections 3.3 to 3.5):

    (3 u - 4 u1 + u2) / (2 dt) - nu Laplace(u) = - (w . grad) w - grad(p1 + (4 q1 - q2) / 3),  w = 2 u1 - u2,
    Laplace(q) = 3 div u / (2 dt),  p = p1 + q - nu div u,

where 1 and 2 mark earlier steps. The last term, the rotational form, is left out where there is an outlet: there it
lets the pressure drift, and flows on coarse cells blow up. The matrices do not change, so each is factorised once.
Convection is explicit: the step is limited by the smallest cell over the velocity there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import skfem
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from skfem.helpers import grad
from skfem.models.poisson import laplace, mass

from meshmove.geometry import MeshmoveError
from meshmove.geometry.arrays import Array

from .constrained import Constrained, factorised

__all__ = ["Flow", "FlowError"]

#: steps on trial from a velocity alone, each with the pressure that the one before has found
TRIALS = 2

#: what a velocity component is on a boundary: a constant, a function of x (2, n), or None where it is free
Condition = float | Callable[[Array], Array] | None


class FlowError(MeshmoveError, ArithmeticError):
    """The flow blew up: the time step is too long for the mesh."""


class Flow:
    """A flow that is stepped forward; `velocity` (2, n) are P2 values, `pressure` (m,) is P1.

    Parameters
    ----------
    mesh
        Triangles with named boundaries.
    viscosity
        nu.
    dt
        Time step.
    conditions
        Boundary name -> conditions of the two velocity components. A component that is None is free of traction;
        boundaries that are not named are free in both. Where both are free the pressure correction is zero.

    Raises
    ------
    ValueError
        Viscosity or time step not positive, or a boundary that the mesh does not have.

    >>> mesh = skfem.MeshTri().refined(2).with_defaults()
    >>> profile = lambda x: 4 * x[1] * (1 - x[1])
    >>> flow = Flow(mesh, 0.1, 0.1, {"left": (profile, 0), "top": (0, 0), "bottom": (0, 0)})
    >>> flow.start(lambda x: (profile(x), 0 * x[0]), pressure=lambda x: 0.8 * (1 - x[0]))
    >>> flow.step(10)
    >>> bool(np.allclose(flow.velocity[0], profile(flow.points)))  # Poiseuille's flow is steady, and exact in P2
    True
    """

    def __init__(
        self,
        mesh: skfem.MeshTri,
        viscosity: float,
        dt: float,
        conditions: Mapping[str, tuple[Condition, Condition]],
    ) -> None:
        if not (viscosity > 0 and dt > 0):
            raise ValueError(f"Expected a positive viscosity and time step (got {viscosity}, {dt})")
        names = set(mesh.boundaries or {})
        if not set(conditions) <= names:
            raise ValueError(f"Expected boundaries of the mesh, {sorted(names)} (got {sorted(conditions)})")
        self.mesh, self.viscosity, self.dt, self.time = mesh, viscosity, dt, 0.0
        # of degree 5, which the convective term of P2 velocities needs
        self._p2 = skfem.Basis(mesh, skfem.ElementTriP2(), intorder=5)
        self._p1 = self._p2.with_element(skfem.ElementTriP1())
        self.points = self._p2.doflocs
        self._operators()
        self._factors(conditions, names)
        self._forces()
        n, m = self._p2.N, self._p1.N
        self.velocity, self._before = np.zeros((2, n)), np.zeros((2, n))
        self.pressure, self._q, self._q_before = np.zeros(m), np.zeros(m), np.zeros(m)

    def _operators(self) -> None:
        p1, p2 = self._p1, self._p2
        self._mass, self._stiffness = mass.assemble(p2).tocsr(), laplace.assemble(p2).tocsr()
        # rows P1, columns P2: (d_k u, r); and rows P2, columns P1: (v, d_k p)
        self._divergence = [_derivative(k).assemble(p2, p1).tocsr() for k in (0, 1)]
        self._gradient = [_derivative(k).assemble(p1, p2).tocsr() for k in (0, 1)]
        self._p1_mass = factorised(mass.assemble(p1))

    def _factors(self, conditions: Mapping[str, tuple[Condition, Condition]], names: set[str]) -> None:
        matrix = (1.5 / self.dt) * self._mass + self.viscosity * self._stiffness
        self._held = [_held(self._p2, {k: v[component] for k, v in conditions.items()}) for component in (0, 1)]
        self._solvers = [Constrained(matrix, held, values) for held, values in self._held]
        outlets = [n for n in sorted(names) if conditions.get(n, (None, None)) == (None, None)]
        zero = np.concatenate([self._p1.get_dofs(n).all() for n in outlets]) if outlets else np.array([0])
        self._poisson = Constrained(laplace.assemble(self._p1), zero)
        self._closed = not outlets

    def _forces(self) -> None:
        """Values and derivatives at all quadrature points from P2 values, as sparse matrices: convection is then
        three products a step."""
        basis = self._p2
        q = basis.dx.shape[1]
        rows = np.arange(basis.dx.size).reshape(basis.dx.shape)
        value: list[Array] = []
        slopes: tuple[list[Array], list[Array]] = [], []
        for i in range(basis.Nbfun):
            shape = basis.basis[i][0]
            value.append(np.broadcast_to(np.asarray(shape), basis.dx.shape))
            for k in (0, 1):
                slopes[k].append(np.broadcast_to(shape.grad[k], basis.dx.shape))
        columns = np.repeat(basis.element_dofs[:, :, None], q, axis=2)
        rows = np.broadcast_to(rows, columns.shape)
        size = (basis.dx.size, basis.N)
        at = [csr_matrix((np.stack(v).ravel(), (rows.ravel(), columns.ravel())), size) for v in (value, *slopes)]
        self._value, self._slopes = at[0], at[1:]
        self._test = csr_matrix(at[0].T.multiply(basis.dx.ravel()))

    def start(
        self, velocity: Callable[[Array], tuple[Array, Array]], pressure: Callable[[Array], Array] | None = None
    ) -> None:
        """Set the velocity from a function of x (2, n), at time 0; the boundary's own values win."""
        self.velocity = np.array([np.broadcast_to(c, self.points.shape[1]) for c in velocity(self.points)], float)
        for component, (held, values) in enumerate(self._held):
            self.velocity[component, held] = values
        self._before = self.velocity.copy()
        self.pressure = np.zeros(self._p1.N) if pressure is None else np.asarray(pressure(self._p1.doflocs), float)
        self._q, self._q_before = np.zeros(self._p1.N), np.zeros(self._p1.N)
        self.time = 0.0

    def restart(self, velocity: Array) -> None:
        """Go on from P2 values (2, n) of the velocity, of which nothing else is known; the boundary's own values win.

        Pressure and velocity before are those that fit to it, as steps on trial find them; time is at 0.

        Raises
        ------
        FlowError
            The velocity is not finite any more.
        """
        start = np.array(velocity, float)
        for component, (held, values) in enumerate(self._held):
            start[component, held] = values
        self.pressure = np.zeros(self._p1.N)
        for _ in range(TRIALS):
            self.velocity, self._before = start, start
            self._q, self._q_before = np.zeros(self._p1.N), np.zeros(self._p1.N)
            self.step()
        # of a step from rest backwards, (3 u - 3 u1) / (2 dt) is the rate of change
        self.velocity, self._before = start, start - 1.5 * (self.velocity - start)
        self._q, self._q_before = np.zeros(self._p1.N), np.zeros(self._p1.N)
        self.time = 0.0

    def continued(self, other: Flow) -> None:
        """Take over the state of a flow on the same mesh, of another viscosity say."""
        self.velocity, self._before = other.velocity.copy(), other._before.copy()
        self.pressure, self._q, self._q_before = other.pressure.copy(), other._q.copy(), other._q_before.copy()

    def step(self, steps: int = 1) -> None:
        """Advance by some time steps.

        Raises
        ------
        FlowError
            The velocity is not finite any more.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(steps):
                self._advance()
                if not np.isfinite(self.velocity.sum()):
                    raise FlowError(
                        f"Expected a stable flow (it blew up before t = {self.time:.3g}); take dt < {self.dt:.3g}"
                    )

    def _advance(self) -> None:
        extrapolated = 2 * self.velocity - self._before
        carried = [self._value @ extrapolated[k] for k in (0, 1)]
        p = self.pressure + (4 * self._q - self._q_before) / 3
        new = np.empty_like(self.velocity)
        for k in (0, 1):
            convection = sum(carried[j] * (self._slopes[j] @ extrapolated[k]) for j in (0, 1))
            load = self._mass @ ((2 * self.velocity[k] - 0.5 * self._before[k]) / self.dt)
            load -= self._test @ convection + self._gradient[k] @ p
            new[k] = self._solvers[k].solve(load)
        divergence = sum(self._divergence[k] @ new[k] for k in (0, 1))
        if self._closed:
            divergence = divergence - divergence.mean()  # rounding: closed boundaries have no net flux
            self.pressure = self.pressure - self.viscosity * self._p1_mass.solve(divergence)
        q = self._poisson.solve(-1.5 / self.dt * divergence)
        self.pressure = self.pressure + q
        self._q_before, self._q = self._q, q
        self._before, self.velocity = self.velocity, new
        self.time += self.dt

    def vorticity(self) -> Array:
        """dv/dx - du/dy (n,), projected to P2: first the vertices, then the middles of the facets."""
        if not hasattr(self, "_p2_mass"):
            self._p2_mass = factorised(self._mass)
        v_x, u_y = self._slopes[0] @ self.velocity[1], self._slopes[1] @ self.velocity[0]
        return self._p2_mass.solve(self._test @ (v_x - u_y))

    def kinetic_energy(self) -> float:
        """Half the integral of |u|^2."""
        return float(0.5 * sum(c @ (self._mass @ c) for c in self.velocity))

    def divergence_norm(self) -> float:
        """L2 norm of div u over that of grad u."""
        g = [[self._slopes[j] @ self.velocity[k] for j in (0, 1)] for k in (0, 1)]
        dx = self._p2.dx.ravel()
        return float(np.sqrt((dx * (g[0][0] + g[1][1]) ** 2).sum() / sum((dx * d**2).sum() for r in g for d in r)))


def _derivative(k: int) -> skfem.BilinearForm:
    return skfem.BilinearForm(lambda u, v, w: grad(u)[k] * v)


def _held(basis: skfem.Basis, conditions: Mapping[str, Condition]) -> tuple[NDArray, Array]:
    """Dirichlet degrees of freedom and their values; where boundaries meet, the one named last wins."""
    values = np.full(basis.N, np.nan)
    for name, condition in conditions.items():
        if condition is not None:
            dofs = basis.get_dofs(name).all()
            values[dofs] = condition(basis.doflocs[:, dofs]) if callable(condition) else condition
    held = np.flatnonzero(~np.isnan(values))
    return held, values[held]
