"""What users hand over is read in one place: numbers, counts, arrays, names, functions, whatever comes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from meshmove.geometry import CellMesh, FieldError, InvalidMeshError, PointLocator
from meshmove.geometry.checks import check_cells
from meshmove.geometry.domains import Disk, Ellipse, Polygon, Rectangle, Triangle
from meshmove.geometry.errors import DomainError
from meshmove.geometry.facets import facets_of
from meshmove.geometry.given import as_float, count, integers, number, real
from tests.odd import VALUES, each_option_works_or_says_why, works_or_says_why

anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.complex_numbers(),
    st.text(max_size=3), st.binary(max_size=3),
    st.lists(st.one_of(st.integers(), st.text(max_size=2)), max_size=3), st.sampled_from(VALUES),
    arrays.arrays(st.one_of(arrays.scalar_dtypes()), arrays.array_shapes(min_dims=0, max_dims=3, max_side=3)),
)  # fmt: skip


@given(anything)
def test_numbers_are_finite_and_within_their_bounds_or_refused(value):
    found = works_or_says_why(lambda: number(value, "a number", low=-2.0, high=3.0))
    assert found is None or (type(found) is float and -2 < found <= 3 and found == as_float(value))


@given(anything)
def test_counts_are_whole_or_refused(value):
    found = works_or_says_why(lambda: count(value, "a count", low=1, high=9))
    assert found is None or (type(found) is int and 1 <= found <= 9 and found == value)


@given(anything)
def test_arrays_are_real_and_hide_nothing(value):
    found = works_or_says_why(lambda: real(value, "values"))
    assert found is None or (type(found) is np.ndarray and found.dtype == np.float64)
    if found is not None and isinstance(value, np.ndarray):
        np.testing.assert_array_equal(found, value.astype(float))


@given(anything)
def test_ids_are_not_rounded(value):
    found = works_or_says_why(lambda: integers(value, "ids"))
    assert found is None or (found.dtype == np.int64 and (found == np.asarray(value)).all())


@pytest.mark.parametrize("value, text", [([0, 1.5], "whole numbers"), (2.0**60, "whole"), (np.uint64(2**63), "uint64")])
def test_ids_that_int64_does_not_hold_are_refused(value, text):
    with pytest.raises(FieldError, match=text):
        integers(value, "ids")


@pytest.mark.parametrize(
    "shape, good",
    [
        (Rectangle, {"lower": (0, 0), "upper": (1, 1), "name": "all", "names": None}),
        (Disk, {"center": (0, 0), "radius": 1, "name": "rim"}),
        (Ellipse, {"center": (0, 0), "axes": (1, 2), "angle": 0.3, "name": "rim"}),
        (Triangle, {"a": (0, 0), "b": (1, 0), "c": (0, 1), "name": "all", "names": None}),
        (Polygon, {"vertices": ((0, 0), (1, 0), (0, 1)), "name": "all", "names": None}),
    ],
)
def test_odd_shapes_work_or_say_why(shape, good):
    each_option_works_or_says_why(shape, good)


def test_what_is_asked_of_a_domain_works_or_says_why():
    square = Rectangle((0, 0), (1, 1), name="all")
    several = [v for v in VALUES if not (isinstance(v, int) and v == 10**12)]
    each_option_works_or_says_why(square.sample_interior, {"n": 3, "seed": 0})
    each_option_works_or_says_why(square.sample_boundary, {"n": 3, "seed": 0, "name": None})
    each_option_works_or_says_why(square.rasterize, {"shape": (4, 4), "bounds": None})
    each_option_works_or_says_why(square.mesh, {"size": 0.5, "engine": "scipy", "seed": 0})
    for value in several:
        for method in (square.signed_distance, square.contains, square.normal):
            works_or_says_why(lambda m=method, v=value: m(v))


def test_too_many_points_are_refused_before_memory_is():
    with pytest.raises(DomainError, match=r"number of points \(got 1000000000000\)"):
        Disk((0, 0), 1).sample_interior(10**12)
    with pytest.raises(DomainError, match="at most 100,000"):
        Disk((0, 0), 1).rasterize((10**9, 10**9))


@pytest.mark.parametrize("value", [np.array(1.0), np.array("x"), 3, "disk", None])
def test_domains_combine_with_domains_only(value):
    with pytest.raises(TypeError, match="unsupported operand|Expected domains"):
        Rectangle((0, 0), (1, 1)) - value


def test_odd_meshes_work_or_say_why():
    good = {
        "points": [[0, 0], [1, 0], [1, 1], [0, 1]],
        "cells": [[0, 1, 2], [0, 2, 3]],
        "kind": "triangle",
        "regions": None,
    }

    def checked(**options):
        mesh = CellMesh.single(**options)
        check_cells(mesh)
        return facets_of(mesh)

    each_option_works_or_says_why(checked, {**good, "facets": {}})


def test_nodes_that_are_not_there_are_named_by_their_cells():
    mesh = CellMesh.single([[0, 0], [1, 0], [1, 1]], [[0, 1, 2], [0, 2, 9], [0, -1, 1]], "triangle")
    with pytest.raises(InvalidMeshError, match=r"nodes from 0 to 2 \(got others in cells 1, 2\)"):
        check_cells(mesh)


def test_odd_points_and_guesses_work_or_say_why():
    mesh = CellMesh.single([[0, 0], [1, 0], [1, 1], [0, 1]], [[0, 1, 2], [0, 2, 3]], "triangle")
    locator = PointLocator(mesh)
    x = np.array([[0.2, 0.7], [0.1, 0.4]])
    each_option_works_or_says_why(locator.find, {"points": x, "guess": np.array([0, 1])})
    each_option_works_or_says_why(locator.interpolate, {"values": mesh.points[:, 0], "points": x, "guess": None})
