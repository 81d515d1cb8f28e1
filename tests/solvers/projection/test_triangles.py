"""Solves with a banded factor by blocks: those of the dense matrix, at every number of rows about that of a block."""

import numpy as np
import pytest

from meshmove.solvers.projection.triangles import Triangle, forward


@pytest.mark.parametrize(("n", "band"), [(5, 3), (192, 40), (193, 40), (500, 187), (500, 300)])
def test_solves_are_those_of_the_dense_matrix(n, band):
    rng = np.random.default_rng(n)
    factor = rng.uniform(-1, 1, (band, n)) / band
    factor[0] = 1 + rng.uniform(0, 1, n)
    L = sum(np.diag(factor[g, : n - g], -g) for g in range(band))
    right = rng.standard_normal((n, 6))
    assert np.allclose(L @ forward(factor, right), right)
    assert np.allclose(L @ (L.T @ Triangle(factor).solve(right)), right)
