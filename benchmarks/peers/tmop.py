"""Meshes by MFEM's target-matrix optimisation (TMOP) through the wheel mfem."""

from __future__ import annotations

import dataclasses

import numpy as np
import skfem
from numpy.typing import NDArray

__all__ = ["moved_by_tmop"]

Array = NDArray[np.float64]


def moved_by_tmop(mesh: skfem.MeshTri, monitor: Array, gamma: float = 0.9, steps: int = 100) -> skfem.MeshTri:
    """Nodes of a mesh of the unit square moved towards sizes 1 / monitor (n,), given at its nodes.

    Shape-and-size metric 80 with weight gamma of the size, sizes advected with the mesh, nodes sliding along the
    sides, Newton with MINRES: MFEM's miniapp mesh-optimizer with ``-tid 5 -mid 80`` as far as its Python wheel has it.
    """
    import mfem.ser as mfem
    from mfem._ser.tmop import DiscreteAdaptTC, TargetConstructor, TMOP_Integrator, TMOP_Metric_080
    from mfem._ser.tmop_tools import AdvectorCG, TMOPNewtonSolver

    grid, n = _mesh(mfem, mesh), mesh.p.shape[1]
    elements = mfem.H1_FECollection(1, 2)
    space, scalar = mfem.FiniteElementSpace(grid, elements, 2), mfem.FiniteElementSpace(grid, elements, 1)
    grid.SetNodalFESpace(space)
    x, start = grid.GetNodes(), mfem.GridFunction(space)
    start.Assign(x)

    area = np.abs(np.linalg.det((mesh.p[:, mesh.t[1:]] - mesh.p[:, mesh.t[:1]]).transpose(2, 0, 1))) / 2
    mass = (area * monitor[mesh.t].mean(axis=0)).sum()
    size = mfem.GridFunction(scalar)
    # the determinant of a triangle's Jacobian is twice its area
    size.Assign(mfem.Vector(np.ascontiguousarray(2 * mass / mesh.nelements / monitor)))
    target = DiscreteAdaptTC(TargetConstructor.IDEAL_SHAPE_GIVEN_SIZE)
    advector = AdvectorCG()
    target.SetAdaptivityEvaluator(advector)
    target.SetSerialDiscreteTargetSize(size)
    target.SetNodes(start)
    metric = TMOP_Metric_080(gamma)
    integrator = TMOP_Integrator(metric, target)
    rule = mfem.IntRules.Get(mfem.Geometry.TRIANGLE, 4)
    integrator.SetIntRule(rule)
    form = mfem.NonlinearForm(space)
    form.AddDomainIntegrator(integrator)

    by_nodes = space.GetOrdering() == mfem.Ordering.byNODES
    fixed = [np.flatnonzero((c < 1e-12) | (c > 1 - 1e-12)) for c in mesh.p]
    held = np.concatenate([k + c * n if by_nodes else 2 * k + c for c, k in enumerate(fixed)])
    form.SetEssentialTrueDofs(mfem.intArray([int(k) for k in held]))

    linear, smoother = mfem.MINRESSolver(), mfem.DSmoother(1, 1.0, 1)
    linear.SetMaxIter(100)
    linear.SetRelTol(1e-12)
    linear.SetAbsTol(0.0)
    smoother.SetPositiveDiagonal(True)
    linear.SetPreconditioner(smoother)
    newton = TMOPNewtonSolver(rule, 0)
    newton.SetMaxIter(steps)
    newton.SetRelTol(1e-6)
    newton.SetAbsTol(0.0)
    newton.SetPreconditioner(linear)
    newton.SetPrintLevel(-1)
    newton.SetOperator(form)
    solution = mfem.Vector(x.Size())
    solution.Assign(x)
    newton.Mult(mfem.Vector(0), solution)
    p = np.array(solution.GetDataArray())
    p = p.reshape(2, n) if by_nodes else p.reshape(n, 2).T
    return dataclasses.replace(mesh, doflocs=np.ascontiguousarray(p))


def _mesh(mfem, mesh: skfem.MeshTri):
    """Counter-clockwise triangles, as MFEM wants them, and the sides."""
    sides = mesh.facets[:, mesh.boundary_facets()]
    grid = mfem.Mesh(2, mesh.p.shape[1], mesh.nelements, sides.shape[1], 2)
    for a, b in mesh.p.T:
        grid.AddVertex(float(a), float(b), 0.0)
    u, v = mesh.p[:, mesh.t[1]] - mesh.p[:, mesh.t[0]], mesh.p[:, mesh.t[2]] - mesh.p[:, mesh.t[0]]
    turned = np.where(u[0] * v[1] - u[1] * v[0] > 0, mesh.t, mesh.t[[0, 2, 1]])
    for a, b, c in turned.T:
        grid.AddTriangle(int(a), int(b), int(c), 1)
    for a, b in sides.T:
        grid.AddBdrSegment(int(a), int(b), 1)
    grid.FinalizeTriMesh(0, 0, False)
    return grid
