"""Laws of domains: distance, area, names and samples agree with each other and with what shapely says."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from meshmove.geometry.domains import (
    Difference,
    Disk,
    Domain,
    DomainError,
    Ellipse,
    Intersection,
    Polygon,
    Rectangle,
    Triangle,
    Union,
)

# quarters: random shapes then share sides, corners and tangents often, which is where such code breaks
place = st.tuples(*[st.integers(-8, 8).map(lambda k: k / 4)] * 2) | st.tuples(*[st.floats(-2, 2)] * 2)
length = st.integers(1, 6).map(lambda k: k / 4) | st.floats(0.2, 1.5)
angle = st.integers(0, 7).map(lambda k: k * np.pi / 4) | st.floats(0, 3)


@st.composite
def triangles(draw: st.DrawFn) -> Domain:
    corners = [draw(place) for _ in range(3)]
    a, b, c = map(np.array, corners)
    assume(abs(np.linalg.det([b - a, c - a])) > 0.05)
    return Triangle(*corners)


@st.composite
def stars(draw: st.DrawFn) -> Domain:
    radii = np.array(draw(st.lists(length, min_size=4, max_size=8)))
    t = 2 * np.pi * np.arange(len(radii)) / len(radii)
    return Polygon(np.stack([radii * np.cos(t), radii * np.sin(t)], axis=1) + draw(place))


primitives = st.one_of(
    st.builds(lambda p, w, h: Rectangle(p, (p[0] + w, p[1] + h)), place, length, length),
    st.builds(Disk, place, length),
    st.builds(lambda p, a, b, t: Ellipse(p, (a, b), t), place, length, length, angle),
    triangles(),
    stars(),
)
domains = st.recursive(
    primitives,
    lambda some: st.builds(
        lambda kind, a, b: kind(a, b), st.sampled_from([Union, Difference, Intersection]), some, some
    ),
    max_leaves=4,
)
nonempty = domains.filter(lambda d: d.area > 1e-3)
law = settings(max_examples=40, deadline=None)
TURN = np.linspace(0, 2 * np.pi, 2048, endpoint=False)


def as_shapely(domain: Domain) -> shapely.Geometry:
    """An independent answer, with curves as fine polygons."""
    if isinstance(domain, Union | Difference | Intersection):
        operation = {Union: shapely.union, Difference: shapely.difference, Intersection: shapely.intersection}
        return operation[type(domain)](as_shapely(domain.left), as_shapely(domain.right), grid_size=1e-9)
    if isinstance(domain, Rectangle):
        return shapely.box(*domain.lower, *domain.upper)
    if isinstance(domain, Polygon | Triangle):
        return shapely.Polygon(domain.vertices)
    a, b = domain.axes if isinstance(domain, Ellipse) else (domain.radius, domain.radius)
    c, s = (np.cos(domain.angle), np.sin(domain.angle)) if isinstance(domain, Ellipse) else (1.0, 0.0)
    x, y = a * np.cos(TURN), b * np.sin(TURN)
    return shapely.Polygon(np.stack([c * x - s * y, s * x + c * y], axis=1) + domain.center)


def points(n: int = 300, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-4, 4, (2, n))


@law
@given(domains)
def test_area_and_distance_agree_with_shapely(domain: Domain) -> None:
    reference = as_shapely(domain)
    assert domain.area == pytest.approx(reference.area, abs=2e-4 * max(1, reference.area))
    if domain.is_empty or reference.area < 1e-3:
        return
    x = points()
    distance = domain.signed_distance(x)
    expected = shapely.distance(reference.boundary, shapely.points(x.T))
    assert np.abs(np.abs(distance) - expected).max() < 1e-4
    sure = expected > 1e-4
    assert ((distance < 0) == shapely.contains_xy(reference, *x))[sure].all()


@law
@given(nonempty)
def test_distance_is_1_lipschitz_and_agrees_with_contains(domain: Domain) -> None:
    x, y = points(seed=1), points(seed=2)
    y[:, ::2] = x[:, ::2] + 0.01 * y[:, ::2]
    a, b = domain.signed_distance(x), domain.signed_distance(y)
    assert (np.abs(a - b) <= np.linalg.norm(x - y, axis=0) + 1e-12).all()
    assert np.array_equal(domain.contains(x), a <= 0)


@law
@given(nonempty)
def test_distance_combines_like_sets(domain: Domain) -> None:
    """Inside and outside follow the operators, and min and max bound the distance from below."""
    other, x = Disk((0.25, 0), 1), points()
    a, b = domain.signed_distance(x), other.signed_distance(x)
    sure = np.minimum(np.abs(a), np.abs(b)) > 1e-9
    for combined, bound in (
        (domain | other, np.minimum(a, b)),
        (domain & other, np.maximum(a, b)),
        (domain - other, np.maximum(a, -b)),
    ):
        assert np.array_equal(combined.contains(x)[sure], (bound < 0)[sure])
        if not combined.is_empty:
            assert (np.abs(combined.signed_distance(x)) >= np.abs(bound) - 1e-9).all()


@law
@given(nonempty)
def test_inclusion_and_exclusion_of_areas(domain: Domain) -> None:
    other = Ellipse((0.25, 0), (1.5, 0.5), 0.2)
    both = (domain & other).area
    assert (domain | other).area + both == pytest.approx(domain.area + other.area, abs=1e-6)
    assert (domain - other).area + both == pytest.approx(domain.area, abs=1e-6)
    assert (domain - domain).is_empty
    assert (domain | domain).area == pytest.approx(domain.area)


@law
@given(nonempty, st.integers(0, 5))
def test_boundary_samples_lie_on_the_boundary_and_normals_point_outwards(domain: Domain, seed: int) -> None:
    x, names, normals = domain.sample_boundary(200, seed)
    assert np.abs(domain.signed_distance(x)).max() < 1e-9
    assert np.allclose(np.linalg.norm(normals, axis=0), 1)
    assert set(names) <= set(domain.boundary_names)
    step = 1e-7
    out, back = domain.signed_distance(x + step * normals), domain.signed_distance(x - step * normals)
    assert np.mean((out > 0) & (back < 0)) > 0.98  # all but those beside corners
    again = domain.sample_boundary(200, seed)
    assert np.array_equal(x, again.points) and np.array_equal(names, again.names)
    named = domain.sample_boundary(20, seed, name=domain.boundary_names[0])
    assert set(named.names) == {domain.boundary_names[0]}


@law
@given(nonempty, st.integers(0, 5))
def test_interior_samples_are_uniform(domain: Domain, seed: int) -> None:
    n = 2000
    x = domain.sample_interior(n, seed)
    assert x.shape == (2, n) and (domain.signed_distance(x) < 1e-9).all()
    assert np.array_equal(x, domain.sample_interior(n, seed))
    # the share left of a line is a binomial variable
    (x0, _), (x1, _) = domain.bounds
    middle = 0.5 * (x0 + x1)
    share = (domain & Rectangle((x0 - 1, -20), (middle, 20))).area / domain.area
    assert abs(np.mean(x[0] < middle) - share) < 5 * np.sqrt(share * (1 - share) / n) + 1e-9


def test_area_against_monte_carlo() -> None:
    domain = (Rectangle((-1, -1), (1, 1)) | Ellipse((1, 0), (1, 0.4), 0.5)) - Disk((0, 0), 0.5)
    x = np.random.default_rng(0).uniform(-3, 3, (2, 100_000))
    p = domain.area / 36
    assert abs(domain.contains(x).mean() - p) < 5 * np.sqrt(p * (1 - p) / 100_000)


@given(angle, length, length)
@settings(max_examples=20, deadline=None)
def test_the_nearest_point_of_an_ellipse_and_of_its_parts(turn: float, a: float, b: float) -> None:
    ellipse = Ellipse((0.1, 0.2), (a, b), turn)
    half = ellipse & Rectangle((0.1, -9), (9, 9))
    x = points(100)
    for domain in (ellipse, half):
        on = domain.sample_boundary(20_000).points
        sampled = np.linalg.norm(x[:, :, None] - on[:, None], axis=0).min(1)
        distance = np.abs(domain.signed_distance(x))
        assert (distance <= sampled + 1e-12).all()
        assert (sampled - distance < 5e-3).all()


def test_samples_are_uniform_by_arc_length() -> None:
    ellipse = Ellipse((0, 0), (3, 0.5))
    x = ellipse.sample_boundary(20_000, seed=1).points
    # by symmetry the quarters are equally likely; the flat side is longer than the tip
    assert np.allclose([np.mean((x[0] > 0) & (x[1] > 0)), np.mean(x[0] < 0)], [0.25, 0.5], atol=0.02)
    tip = (ellipse & Rectangle((2, -1), (4, 1))).boundary
    expected = sum(p.length for p in tip.pieces if p.name == "ellipse") / ellipse.perimeter
    assert np.mean(x[0] > 2) == pytest.approx(expected, abs=0.015)


def test_names_come_from_the_shapes_and_hidden_pieces_are_dropped() -> None:
    square = Rectangle((-1, -1), (1, 1), name="outer")
    holes = [Disk((x, y), 0.2, name="hole") for x in (-0.6, 0.6) for y in (-0.6, 0.6)]
    domain = square - holes
    assert domain.boundary_names == ("outer", "hole")
    assert domain.area == pytest.approx(4 - 4 * np.pi * 0.04, rel=1e-14)
    x, names, _ = domain.sample_boundary(1000)
    assert np.array_equal(names == "outer", np.isclose(np.abs(x).max(0), 1))
    assert (square | Disk((0, 0), 0.5, "lost")).boundary_names == ("outer",)
    sides = Rectangle((0, 0), (1, 1), names=("bottom", "right", "top", "left"))
    assert (sides - Rectangle((-1, 0.5), (2, 2), "cut")).boundary_names == ("bottom", "right", "left", "cut")
    assert sides.normal([[0.5, 0.9], [0.1, 0.5]]).tolist() == [[0, 1], [-1, 0]]
    clockwise = Polygon([(0, 0), (0, 1), (1, 0)], names=("left", "slope", "bottom"))
    assert set(clockwise.sample_boundary(50, name="left").points[0]) == {0.0}


def test_shared_sides_vanish_from_unions_and_stay_in_differences() -> None:
    left, right = Rectangle((0, 0), (1, 1), "a"), Rectangle((1, 0), (2, 1), "b")
    both = left | right
    assert both.perimeter == pytest.approx(6)
    assert both.signed_distance([[1.0], [0.5]])[0] == pytest.approx(-0.5)
    assert (left & right).is_empty
    assert (left - right).perimeter == pytest.approx(4)
    assert (left - right).boundary_names == ("a",)


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_scale_does_not_matter(scale: float) -> None:
    domain = Rectangle((0, 0), (2 * scale, scale)) - Ellipse((scale, 0), (0.5 * scale, 0.25 * scale))
    assert domain.area / scale**2 == pytest.approx(2 - np.pi / 16, rel=1e-12)
    x = np.array([[1.0, 1.0], [0.1, 0.9]]) * scale
    assert (domain.signed_distance(x) / scale)[1] == pytest.approx(-0.1)
    assert domain.contains(x).tolist() == [False, True]


def test_thin_domains_are_sampled_quickly() -> None:
    needle = Polygon([(0, 0), (1, 1), (1, 1.0001)])
    assert needle.sample_interior(1000).shape == (2, 1000)


def test_rasters() -> None:
    square = Rectangle((-1, -1), (1, 1), "outer")
    raster = (square - Disk((0.5, 0), 0.25, "hole")).rasterize((40, 80))
    inside = raster.interior.ravel()
    assert np.array_equal(inside, (square - Disk((0.5, 0), 0.25)).contains(raster.points))
    assert raster.boundary["outer"].sum() == 2 * 80 + 2 * 38
    hole = raster.points[:, raster.boundary["hole"].ravel()] - [[0.5], [0]]
    assert np.abs(np.linalg.norm(hole, axis=0) - 0.25).max() < 0.5 * np.hypot(1 / 40, 1 / 20)
    wider = square.rasterize((16, 16), bounds=((-2, -2), (2, 2)))
    assert wider.interior.sum() == 64 and not wider.boundary["outer"][0].any()
    assert "outer: 276" in repr(square.rasterize((70, 70)))
    with pytest.raises(DomainError, match="raster shape"):
        square.rasterize((0, 3))


def test_values_compare_hash_pickle_and_print() -> None:
    domain = Rectangle((0, 0), (2, 2)) - [Disk((1, 1), 0.5), Ellipse((0, 0), (0.5, 0.25), angle=1)]
    names = {"Rectangle": Rectangle, "Disk": Disk, "Ellipse": Ellipse, "Polygon": Polygon}
    assert eval(repr(domain), names) == domain
    nested = Disk((0, 0), 1) - (Disk((1, 0), 0.5) | Polygon([(0, 0), (1, 0), (0, 1)]))
    assert eval(repr(nested), names) == nested
    assert len({domain, pickle.loads(pickle.dumps(domain))}) == 1


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Disk((0, 0), -0.2), "positive radius .got -0.2"),
        (lambda: Disk((0, np.nan), 1), "centre as two finite numbers"),
        (lambda: Ellipse((0, 0), (1, 0)), "positive semi-axis"),
        (lambda: Ellipse((0, 0), (1, 2), "hole"), "pass the name as name="),
        (lambda: Rectangle((1, 1), (0, 0)), "are they swapped"),
        (lambda: Rectangle((0, 0), (1, 1), names=("a", "b")), "one name for each of the 4 sides"),
        (lambda: Polygon([(0, 0), (1, 1)]), "at least three vertices"),
        (lambda: Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]), "do not cross or touch .*Self-intersection"),
        (lambda: Polygon([(0, 0), (1, 1), (2, 2)]), "vertices on one line"),
        (lambda: Polygon([(0, 0), (1, 0), (1, 0), (0, 1)]), "vertex 1 and the next one"),
        (lambda: Triangle((0, 0), (1, 1), (2, 2)), "not on one line"),
        (lambda: Disk((0, 0), 1, name=""), "boundary name"),
        (lambda: Disk((0, 0), 1).signed_distance([[0, 1]]), r"shape \(2, n\) .got \(1, 2\)"),
        (lambda: Disk((0, 0), 1).contains([[np.inf], [0]]), "finite points"),
        (lambda: Disk((0, 0), 1, "rim").sample_boundary(3, name="hole"), "boundary among 'rim' .got 'hole'"),
        (lambda: (Disk((0, 0), 1) - Disk((0, 0), 2)).sample_interior(3), "empty domain"),
    ],
)
def test_bad_input_is_named(build, message: str) -> None:
    with pytest.raises(DomainError, match=message):
        build()


def test_only_domains_combine() -> None:
    with pytest.raises(TypeError, match="got int"):
        Disk((0, 0), 1) - [3]
    with pytest.raises(TypeError, match="unsupported operand"):
        Disk((0, 0), 1) | 3
