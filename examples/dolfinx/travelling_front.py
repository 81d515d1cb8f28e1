r"""A front that travels through a square in DOLFINx: the heat equation on a mesh that moves with it, in ALE form.

On the unit square,

.. math:: u_t - \kappa \Delta u = f, \qquad u = \tanh(25 s), \quad s = |x - c| - 0.35 - t / 2, \quad c = (0.1, 0.1),

with values given on the boundary and kappa = 0.01, by the implicit Euler method on 24 x 24 x 2 triangles. Nodes move
with the velocity w, and values with them: the equation of these is u_t - w . grad u - kappa Delta u = f. Lines that
end in ``# <- meshmove`` are what the script gains. It runs on one process or on several::

    python travelling_front.py
    mpiexec -n 2 python travelling_front.py
"""

from inspect import signature

import numpy as np
import ufl
from dolfinx import fem, mesh
from dolfinx.fem.petsc import LinearProblem
from mpi4py import MPI

from meshmove.plugins.dolfinx import MovingMesh, velocity_function  # <- meshmove

function_space = getattr(fem, "functionspace", None) or fem.FunctionSpace  # renamed in DOLFINx 0.7
PREFIX = {"petsc_options_prefix": "front_"} if "petsc_options_prefix" in signature(LinearProblem).parameters else {}
KAPPA, DT, STEPS = 0.01, 0.02, 20


def front(t):
    return lambda x: np.tanh(25 * (np.hypot(x[0] - 0.1, x[1] - 0.1) - 0.35 - t / 2))


def exact(domain, t):
    x = ufl.SpatialCoordinate(domain)
    return ufl.tanh(25 * (ufl.sqrt((x[0] - 0.1) ** 2 + (x[1] - 0.1) ** 2 + 1e-12) - 0.35 - t / 2))


def after(domain, old, w, t):
    """The solution at time t, of values `old` a step before that have gone along with the nodes."""
    V = function_space(domain, ("Lagrange", 1))
    facets = mesh.locate_entities_boundary(domain, 1, lambda x: np.full(x.shape[1], True))
    given = fem.Function(V)
    given.interpolate(front(t))
    bc = fem.dirichletbc(given, fem.locate_dofs_topological(V, 1, facets))

    u, v, now = ufl.TrialFunction(V), ufl.TestFunction(V), exact(domain, fem.Constant(domain, t))
    dx = ufl.dx(metadata={"quadrature_degree": 6})
    a = (u * v / DT - ufl.inner(w, ufl.grad(u)) * v + KAPPA * ufl.inner(ufl.grad(u), ufl.grad(v))) * dx
    rate = -12.5 * (1 - now**2)
    L = old * v / DT * dx + (rate * v + KAPPA * ufl.inner(ufl.grad(now), ufl.grad(v))) * dx
    L -= KAPPA * ufl.inner(ufl.grad(now), ufl.FacetNormal(domain)) * v * ufl.ds
    return LinearProblem(a, L, bcs=[bc], petsc_options={"ksp_type": "gmres", "ksp_rtol": 1e-10}, **PREFIX).solve()


def l2_error(domain, u, t):
    error = (u - exact(domain, fem.Constant(domain, t))) ** 2 * ufl.dx(metadata={"quadrature_degree": 6})
    return np.sqrt(domain.comm.allreduce(fem.assemble_scalar(fem.form(error))))


def started(domain):
    u = fem.Function(function_space(domain, ("Lagrange", 1)))
    u.interpolate(front(0.0))
    return u


def at_rest(domain):
    u = started(domain)
    zero = fem.Constant(domain, np.zeros(2))
    for k in range(STEPS):
        u = after(domain, u, zero, (k + 1) * DT)
    return l2_error(domain, u, STEPS * DT)


def moving(domain):
    following = MovingMesh(domain)  # <- meshmove
    u = started(following.start(front(0.0)).mesh)  # <- meshmove
    for k in range(STEPS):
        step = following.step(u, DT)  # <- meshmove
        u = after(step.mesh, step.material, velocity_function(step), (k + 1) * DT)
    return l2_error(step.mesh, u, STEPS * DT)


def main():
    domain = mesh.create_unit_square(MPI.COMM_WORLD, 24, 24)
    fixed, moved = at_rest(domain), moving(domain)
    if domain.comm.rank == 0:
        print(f"L2 error {fixed:.4g} at rest, {moved:.4g} moving, {fixed / moved:.2f} times less, same cells")
    return {"at_rest": fixed, "moving": moved, "factor": fixed / moved}


if __name__ == "__main__":
    main()
