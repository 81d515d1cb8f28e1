"""Cell kinds: shape functions, quadrature, corners, facets, edges and simplices agree with one another."""

import copy
import pickle
from itertools import product
from math import factorial

import numpy as np
import pytest
from numpy.polynomial import Polynomial

from meshmove.geometry.cells import KINDS, kind_of

EVERY = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def inside(kind, n=20, seed=0):
    """Random points (dim, n) of the parameter domain of the shape functions."""
    rng = np.random.default_rng(seed)
    if kind.is_simplex:
        return rng.dirichlet(np.ones(kind.dim + 1), n)[:, 1:].T
    x = rng.uniform(size=(kind.dim, n))
    if kind.name == "wedge":
        x[:2] = rng.dirichlet(np.ones(3), n)[:, 1:].T
    return x


def monomial(kind, powers):
    """The exact integral of x^i y^j z^k over the reference cell."""
    if kind.is_simplex:
        return np.prod([float(factorial(p)) for p in powers]) / factorial(sum(powers) + kind.dim)
    if kind.name == "wedge":
        i, j, k = powers
        return factorial(i) * factorial(j) / factorial(i + j + 2) / (k + 1)
    if kind.name == "pyramid":  # squares [z/2, 1 - z/2]^2 stacked over z
        low, high = Polynomial([0, 0.5]), Polynomial([1, -0.5])
        sides = [(high ** (p + 1) - low ** (p + 1)) / (p + 1) for p in powers[:2]]
        total = (sides[0] * sides[1] * Polynomial([0, 1]) ** powers[2]).integ()
        return total(1.0)
    return np.prod([1 / (p + 1) for p in powers])


def integrate(kind, degree, powers):
    x, w = kind.quadrature(degree)
    shape, slopes = kind.shape(x)
    places = kind.reference.T @ shape
    jacobian = np.linalg.det(np.einsum("vi,vjq->qij", kind.reference, slopes))
    return float((w * jacobian) @ np.prod(places ** np.array(powers)[:, None], axis=0))


@EVERY
@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5])
def test_quadrature_is_exact_to_its_degree(kind, degree):
    for powers in product(range(degree + 1), repeat=kind.dim):
        if sum(powers) <= degree:
            assert integrate(kind, degree, powers) == pytest.approx(monomial(kind, powers), rel=1e-13, abs=1e-15)


@EVERY
@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5])
def test_quadrature_points_lie_inside_and_weights_are_positive(kind, degree):
    x, w = kind.quadrature(degree)
    assert (w > 0).all() and (x > 0).all() and (x < 1).all()
    assert kind.shape(x)[0].min() > 0


@EVERY
@pytest.mark.parametrize("degree", [0, 6])
def test_other_degrees_are_refused(kind, degree):
    with pytest.raises(ValueError, match=rf"degree from 1 to 5 \(got {degree}\)"):
        kind.quadrature(degree)


@EVERY
def test_shape_functions_are_a_partition_of_unity(kind):
    values, slopes = kind.shape(inside(kind))
    assert values.min() >= 0
    np.testing.assert_allclose(values.sum(axis=0), 1, rtol=1e-14)
    np.testing.assert_allclose(slopes.sum(axis=0), 0, atol=1e-14)


@EVERY
def test_shape_functions_are_one_at_their_vertex_and_zero_at_the_others(kind):
    parameters = kind.reference.T if kind.name != "pyramid" else np.c_[kind.reference[:4].T, [0.3, 0.6, 1.0]]
    np.testing.assert_allclose(kind.shape(parameters)[0], np.eye(kind.vertices), atol=1e-15)


@EVERY
def test_gradients_are_the_derivatives_of_the_shape_functions(kind):
    x, h = inside(kind), 1e-6
    slopes = kind.shape(x)[1]
    for c in range(kind.dim):
        step = np.eye(kind.dim)[:, [c]] * h
        quotient = (kind.shape(x + step)[0] - kind.shape(x - step)[0]) / (2 * h)
        np.testing.assert_allclose(slopes[:, c], quotient, atol=1e-8)


@EVERY
def test_corners_are_positively_oriented_and_stand_at_every_vertex(kind):
    p = kind.reference[kind.corners]
    assert (np.linalg.det(p[:, 1:] - p[:, :1]) > 0).all()
    if kind.is_simplex:
        assert len(kind.corners) == 1
    else:  # where three edges meet; at the apex of a pyramid four do
        assert sorted(kind.corners[:, 0]) == list(range(4 if kind.name == "pyramid" else kind.vertices))
        edges = {frozenset(e) for e in kind.edges.tolist()}
        assert all(frozenset((c[0], v)) in edges for c in kind.corners.tolist() for v in c[1:])


@EVERY
def test_facets_close_the_cell_and_point_outwards(kind):
    p = kind.reference
    directed = [(f[i], f[(i + 1) % len(f)]) for f in kind.facets for i in range(len(f))]
    if kind.dim == 2:
        area = sum(p[a, 0] * p[b, 1] - p[b, 0] * p[a, 1] for a, b in kind.facets) / 2
        assert area == pytest.approx(kind.quadrature(1)[1].sum())
        assert sorted(v for f in kind.facets for v in f) == sorted(2 * list(range(kind.vertices)))
    else:
        assert sorted(directed) == sorted((b, a) for a, b in directed)  # every edge once each way
        assert {frozenset(e) for e in directed} == {frozenset(e) for e in kind.edges.tolist()}
        volume = sum(np.linalg.det(p[[f[0], f[i], f[i + 1]]]) / 6 for f in kind.facets for i in range(1, len(f) - 1))
        assert volume == pytest.approx(monomial(kind, (0, 0, 0)))
    assert len(kind.edges) == len({frozenset(e) for e in kind.edges.tolist()})


@EVERY
def test_the_split_into_simplices_fills_the_cell(kind):
    p = kind.reference[kind.simplices]
    volumes = np.linalg.det(p[:, 1:] - p[:, :1]) / factorial(kind.dim)
    assert (volumes > 0).all()
    assert volumes.sum() == pytest.approx(monomial(kind, (0,) * kind.dim))


def test_an_unknown_kind_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"triangle, quad, tetra, hexahedron, wedge, pyramid \(got 'polygon'\)"):
        kind_of("polygon")
    assert repr(kind_of("wedge")) == "CellKind(wedge)"


@EVERY
def test_a_copied_kind_is_the_kind_itself(kind):
    assert pickle.loads(pickle.dumps(kind)) is kind and copy.deepcopy(kind) is kind
