"""Procedural meshes: of every family sound, of the size wanted, the same from the same seed, and of their shape."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshmove.geometry import aspect_ratio, cell_volumes, corner_volumes, facets_of
from meshmove.geometry.checks import check_cells, check_facets
from meshmove.procedural import FAMILIES, random_mesh
from meshmove.procedural.meshes.delaunay import Unmeshable, triangulate
from meshmove.procedural.meshes.families3d import is_sound
from meshmove.procedural.meshes.outlines import airfoil, ellipse, polygon, rectangle

EVERY = [(dim, name) for dim, families in FAMILIES.items() for name in families]


def area(loop):
    x, y = np.concatenate([piece[:-1] for piece in loop]).T
    return 0.5 * abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum())


@pytest.mark.parametrize(("dim", "name"), EVERY)
def test_every_family_gives_meshes_that_can_be_moved(dim, name):
    for seed in range(4 if dim == 2 else 2):
        mesh = random_mesh(np.random.default_rng(seed), dim, nodes=(300, 600), families=[name])
        check_cells(mesh)
        check_facets(mesh, facets_of(mesh), np.zeros(mesh.n_points, bool))
        assert mesh.dim == dim and 200 < mesh.n_points < 760
        assert len(np.unique(np.concatenate([b.nodes.ravel() for b in mesh.blocks]))) == mesh.n_points
        assert len(np.unique(facets_of(mesh).components(mesh.n_cells))) == 1
        assert is_sound(mesh, 0.01)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), dim=st.sampled_from([2, 2, 3]))
def test_the_same_seed_gives_the_same_mesh(seed, dim):
    a, b = (random_mesh(np.random.default_rng(seed), dim, nodes=(100, 200)) for _ in range(2))
    assert np.array_equal(a.points, b.points)
    assert all(np.array_equal(x.nodes, y.nodes) for x, y in zip(a.blocks, b.blocks, strict=True))


def test_areas_are_those_of_the_outlines():
    rng = np.random.default_rng(0)
    outer, hole = rectangle([0, 0], [2, 1]), ellipse(np.array([1, 0.5]), np.array([0.3, 0.2]), 0.5)
    points, cells = triangulate(rng, [outer, hole], 2000)
    e, f = points[cells[:, 1]] - points[cells[:, 0]], points[cells[:, 2]] - points[cells[:, 0]]
    total = 0.5 * np.abs(e[:, 0] * f[:, 1] - e[:, 1] * f[:, 0]).sum()
    assert total == pytest.approx(2 - np.pi * 0.06, rel=2e-3)
    for kind, volume in (("box_delaunay", 1.0), ("box_hexes", 1.0), ("ball", np.pi / 6)):
        mesh = FAMILIES[3][kind](np.random.default_rng(1), 700)
        box = np.ptp(mesh.points, axis=0).prod()
        assert np.abs(cell_volumes(mesh)).sum() / box == pytest.approx(volume, rel=0.06 if kind == "ball" else 1e-9)


def test_a_size_field_grades_the_mesh():
    where = np.array([[0.0, 0.0]])
    points, cells = triangulate(
        np.random.default_rng(0),
        [rectangle([0, 0], [1, 1])],
        800,
        size=lambda x: 1 + 9 * np.linalg.norm(x - where, axis=1),
        jitter=0.1,
        sweeps=2,
    )
    assert 600 < len(points) < 1000
    length = np.linalg.norm(points[cells[:, 0]] - points[cells[:, 1]], axis=1)
    away = np.linalg.norm(points[cells].mean(axis=1), axis=1)
    assert np.median(length[away > 0.9]) > 4 * np.median(length[away < 0.1])


def test_stretched_meshes_have_stretched_cells_and_others_have_not():
    def typical(name):
        rng = np.random.default_rng(5)
        meshes = [random_mesh(rng, 2, nodes=(200, 300), families=[name]) for _ in range(8)]
        return np.median([np.median(aspect_ratio(m)) for m in meshes])

    assert typical("stretched") > 1.5 * typical("square")


def test_some_meshes_mix_orientations_and_some_do_not():
    rng = np.random.default_rng(0)
    meshes = [random_mesh(rng, 2, nodes=(100, 120), families=["square"]) for _ in range(30)]
    mixed = [len(np.unique(np.sign(corner_volumes(m)))) == 2 for m in meshes]
    assert 2 < sum(mixed) < 20


def test_affine_off_keeps_the_unit_square():
    mesh = random_mesh(np.random.default_rng(0), 2, nodes=(100, 120), families=["square"], affine=False)
    assert mesh.points.min() == 0 and mesh.points.max() == 1


def test_the_naca_0012_section_is_twelve_per_cent_thick_and_has_its_area():
    loop = airfoil(0.0, 0.4, 0.12, 0.0, np.zeros(2), 1.0)
    y = np.concatenate(loop)[:, 1]
    assert np.ptp(y) == pytest.approx(0.12, rel=2e-3)
    # the integral of the closed section's formula
    whole = 1.2 * (0.2969 * 2 / 3 - 0.126 / 2 - 0.3516 / 3 + 0.2843 / 4 - 0.1036 / 5)
    assert area(loop) == pytest.approx(whole, rel=2e-3)


def test_what_cannot_be_meshed_says_so():
    bow = polygon(np.array([[0, 0], [1, 1], [1, 0], [0, 1]]))
    with pytest.raises(Unmeshable, match="cross"):
        triangulate(np.random.default_rng(0), [bow], 100)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 4}, "dimension 2 or 3"),
        ({"dim": 2, "families": ["ball"]}, "families among square"),
        ({"dim": 2, "families": []}, "families among square"),
        ({"dim": 2, "nodes": (500, 100)}, "lower end first"),
    ],
)
def test_bad_requests(options, message):
    with pytest.raises(ValueError, match=message):
        random_mesh(np.random.default_rng(0), **options)


def test_training_data_need_no_mesh_library():
    code = (
        "import sys, meshmove.procedural;"
        "print([m for m in ('skfem', 'meshio', 'pyvista', 'vtk', 'matplotlib', 'gmsh') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
