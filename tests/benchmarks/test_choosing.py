"""Drawn problems that checkpoints are chosen by: sources belong to solutions, and meshes are valid."""

from __future__ import annotations

import numpy as np

from benchmarks.dmm.choosing import KINDS, cases
from meshmove.geometry import CellMesh, inverted_cells


def test_problems_are_what_they_say():
    drawn, again = list(cases(len(KINDS))), list(cases(len(KINDS)))
    assert len({p.name for p, _ in drawn}) == 6
    x = np.random.default_rng(0).uniform(0.2, 0.8, (2, 50))
    step = 1e-4
    shifts = [np.array([[step], [0.0]]), np.array([[0.0], [step]])]
    for (problem, mesh), (same, other) in zip(drawn, again, strict=True):
        u = problem.exact(x)
        laplace = sum(problem.exact(x + s) + problem.exact(x - s) - 2 * u for s in shifts) / step**2
        assert np.allclose(-problem.source(x), laplace, atol=1e-3 * np.abs(laplace).max() + 1e-4)
        cells = CellMesh.single(problem.mesh(round(mesh.nvertices**0.5) - 1).p.T, mesh.t.T, "triangle")
        assert not len(inverted_cells(cells, mesh.p.T))
        assert np.array_equal(mesh.p, other.p) and np.array_equal(u, same.exact(x))
