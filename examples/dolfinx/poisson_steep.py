r"""A steep ring in DOLFINx: Poisson's equation as in its own demo, on a mesh that moves to the solution.

On the unit square,

.. math:: -\Delta u = f, \qquad u \text{ given on the boundary}, \qquad u = \tanh(60 s), \quad s = |x - c|^2 - 0.08,

c the centre, on 40 x 40 x 2 triangles: the problem of `examples/poisson_steep.py` in scikit-fem. Lines that end in
``# <- meshmove`` are what the script gains; everything else was there before. It runs on one process or on several::

    python poisson_steep.py
    mpiexec -n 2 python poisson_steep.py
"""

from inspect import signature

import numpy as np
import ufl
from dolfinx import fem, mesh
from dolfinx.fem.petsc import LinearProblem
from mpi4py import MPI

from meshmove.plugins.dolfinx import adapt_loop  # <- meshmove

function_space = getattr(fem, "functionspace", None) or fem.FunctionSpace  # renamed in DOLFINx 0.7
PREFIX = {"petsc_options_prefix": "poisson_"} if "petsc_options_prefix" in signature(LinearProblem).parameters else {}


def exact(domain):
    x = ufl.SpatialCoordinate(domain)
    return ufl.tanh(60 * ((x[0] - 0.5) ** 2 + (x[1] - 0.5) ** 2 - 0.08))


def solve(domain):
    V = function_space(domain, ("Lagrange", 1))
    facets = mesh.locate_entities_boundary(domain, 1, lambda x: np.full(x.shape[1], True))
    given = fem.Function(V)
    given.interpolate(lambda x: np.tanh(60 * ((x[0] - 0.5) ** 2 + (x[1] - 0.5) ** 2 - 0.08)))
    bc = fem.dirichletbc(given, fem.locate_dofs_topological(V, 1, facets))

    u, v = ufl.TrialFunction(V), ufl.TestFunction(V)
    dx = ufl.dx(metadata={"quadrature_degree": 8})
    a = ufl.inner(ufl.grad(u), ufl.grad(v)) * dx
    L = ufl.inner(-ufl.div(ufl.grad(exact(domain))), v) * dx
    options = {"ksp_type": "cg", "pc_type": "gamg", "ksp_rtol": 1e-10}
    return LinearProblem(a, L, bcs=[bc], petsc_options=options, **PREFIX).solve()


def l2_error(domain):
    error = (solve(domain) - exact(domain)) ** 2 * ufl.dx(metadata={"quadrature_degree": 8})
    return np.sqrt(domain.comm.allreduce(fem.assemble_scalar(fem.form(error))))


def main():
    domain = mesh.create_unit_square(MPI.COMM_WORLD, 40, 40)
    moved = adapt_loop(domain, solve).mesh  # <- meshmove
    before, after = l2_error(domain), l2_error(moved)
    if domain.comm.rank == 0:
        print(f"L2 error {before:.4g} -> {after:.4g}, {before / after:.2f} times less, same cells")
    return {"uniform": before, "adapted": after, "factor": before / after}


if __name__ == "__main__":
    main()
