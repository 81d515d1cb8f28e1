r"""A jet in DOLFINx: Stokes' equations with Taylor-Hood elements, tags of facets and cells, on a mesh that moves.

On the unit square,

.. math:: -\Delta u + \nabla p = f, \qquad \nabla \cdot u = 0, \qquad u = (\tanh(20 (y - 0.4)), 0), \quad p = x,

a shear layer along the square. The velocity is given on the walls (facets tagged 1), the traction on the right side
(tagged 2). The lower and the upper half are tagged as cells 3 and 4: their interface is kept, and what is measured is
the error in the lower one. Tags are made once, on the first mesh, and used on all. The mesh moves to the velocity::

    python stokes.py
    mpiexec -n 2 python stokes.py
"""

from inspect import signature

import numpy as np
import ufl
from dolfinx import fem, mesh
from dolfinx.fem.petsc import LinearProblem
from mpi4py import MPI

from meshmove.plugins.dolfinx import adapt

function_space = getattr(fem, "functionspace", None) or fem.FunctionSpace  # renamed in DOLFINx 0.7
PREFIX = {"petsc_options_prefix": "stokes_"} if "petsc_options_prefix" in signature(LinearProblem).parameters else {}


def taylor_hood(domain):
    if hasattr(ufl, "VectorElement"):  # up to DOLFINx 0.6
        cell = domain.ufl_cell()
        return ufl.VectorElement("Lagrange", cell, 2) * ufl.FiniteElement("Lagrange", cell, 1)
    from basix.ufl import element, mixed_element

    return mixed_element([element("Lagrange", "triangle", 2, shape=(2,)), element("Lagrange", "triangle", 1)])


def exact(domain):
    x = ufl.SpatialCoordinate(domain)
    return ufl.as_vector([ufl.tanh(20 * (x[1] - 0.4)), 0 * x[0]]), x[0]


def solve(domain, facets):
    W = function_space(domain, taylor_hood(domain))
    V, _ = W.sub(0).collapse()
    given = fem.Function(V)
    given.interpolate(lambda x: np.stack([np.tanh(20 * (x[1] - 0.4)), 0 * x[0]]))
    walls = fem.locate_dofs_topological((W.sub(0), V), 1, facets.find(1))
    bc = fem.dirichletbc(given, walls, W.sub(0))

    (u, p), (v, q) = ufl.TrialFunctions(W), ufl.TestFunctions(W)
    there, pressure = exact(domain)
    dx = ufl.Measure("dx", domain, metadata={"quadrature_degree": 8})
    ds = ufl.Measure("ds", domain, subdomain_data=facets, metadata={"quadrature_degree": 8})
    n = ufl.FacetNormal(domain)
    a = (ufl.inner(ufl.grad(u), ufl.grad(v)) - p * ufl.div(v) - q * ufl.div(u)) * dx
    force = -ufl.div(ufl.grad(there)) + ufl.grad(pressure)
    L = ufl.inner(force, v) * dx + ufl.inner(ufl.grad(there) * n - pressure * n, v) * ds(2)
    options = {"ksp_type": "preonly", "pc_type": "lu", "pc_factor_mat_solver_type": "mumps"}
    return LinearProblem(a, L, bcs=[bc], petsc_options=options, **PREFIX).solve()


def h1_error(w, cells):
    """Of the velocity, in the lower half."""
    domain = w.function_space.mesh
    dx = ufl.Measure("dx", domain, subdomain_data=cells, metadata={"quadrature_degree": 8})
    error = ufl.grad(ufl.split(w)[0] - exact(domain)[0])
    return np.sqrt(domain.comm.allreduce(fem.assemble_scalar(fem.form(ufl.inner(error, error) * dx(3)))))


def tagged(domain, dim, places):
    locate = mesh.locate_entities_boundary if dim == 1 else mesh.locate_entities
    found = [(value, locate(domain, dim, where)) for value, where in places]
    entities = np.concatenate([ids for _, ids in found])
    values = np.concatenate([np.full(len(ids), value, np.int32) for value, ids in found])
    entities, first = np.unique(entities, return_index=True)
    return mesh.meshtags(domain, dim, entities.astype(np.int32), values[first])


def main():
    domain = mesh.create_unit_square(MPI.COMM_WORLD, 20, 20)
    eps = 1e-10
    walls, right = (lambda x: (x[0] < eps) | (x[1] < eps) | (x[1] > 1 - eps)), (lambda x: x[0] > 1 - eps)
    facets = tagged(domain, 1, [(1, walls), (2, right)])
    cells = tagged(domain, 2, [(3, lambda x: x[1] < 0.5 + eps), (4, lambda x: x[1] > 0.5 - eps)])

    w = solve(domain, facets)
    out = adapt(domain, w, facet_tags=facets, cell_tags=cells)
    before, after = h1_error(w, cells), h1_error(solve(out.mesh, facets), cells)
    dx = ufl.Measure("dx", out.mesh, subdomain_data=cells)
    half = out.mesh.comm.allreduce(fem.assemble_scalar(fem.form(1 * dx(3))))
    if domain.comm.rank == 0:
        print(f"H1 error of the velocity {before:.4g} -> {after:.4g}, {before / after:.2f} times less, same cells")
    return {"uniform": before, "adapted": after, "factor": before / after, "lower half": half}


if __name__ == "__main__":
    main()
