"""Laws of domain meshes: exact boundary, named facets that cover it, well shaped cells, with both engines."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from meshmove.geometry import CellMesh, cell_volumes, scaled_jacobian
from meshmove.geometry.domains import Disk, Domain, DomainError, Ellipse, Polygon, Rectangle, Triangle

HAS_GMSH = importlib.util.find_spec("gmsh") is not None
needs_gmsh = pytest.mark.skipif(not HAS_GMSH, reason="gmsh is not installed")
engines = pytest.mark.parametrize("engine", ["scipy", pytest.param("gmsh", marks=needs_gmsh)])

SQUARE = Rectangle((-1, -1), (1, 1), name="outer")
DOMAINS = {
    "square": SQUARE,
    "holes": SQUARE - [Disk((x, y), 0.2, name="hole") for x in (-0.6, 0.6) for y in (-0.6, 0.6)],
    "L": Polygon([(0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)]),
    "tilted": Polygon([(0.1, 0), (1.3, 0.7), (0.6, 1.9), (-0.6, 1.2)]),
    "ellipse": Ellipse((0, 0), (1, 0.1), 0.3),
    "channel": Rectangle((0, 0), (2.2, 0.41), names=("wall", "out", "wall", "in")) - Disk((0.2, 0.2), 0.05, "cylinder"),
    "gap": SQUARE - Rectangle((-0.9, -0.95), (0.9, 0.5)),
    "ring": Disk((0, 0), 1) - Disk((0, 0), 0.9),
    "lens": Disk((0, 0), 1) & Disk((1.5, 0), 1),
    "islands": Disk((0, 0), 1) | (Disk((3, 0), 1) - Disk((3, 0), 0.5) | Disk((3, 0), 0.3)),
    "touching": Disk((0, 0), 1) | Disk((2, 0), 1),
    "pinched": SQUARE - Triangle((-1, 0), (0, -0.5), (0, 0.5)),
}


def assert_follows(mesh: CellMesh, domain: Domain) -> None:
    """The mesh is a triangulation of the domain with its boundary, up to chords of curves."""
    facets = np.concatenate(list(mesh.facets.values()))
    cells = mesh.blocks[0].nodes
    assert (cell_volumes(mesh) > 0).all()
    assert len(np.unique(cells)) == mesh.n_points
    # named facets are the edges with one cell, once each, the domain on their left
    n = mesh.n_points
    sides = cells[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    lonely = ~np.isin(sides @ [n, 1], sides @ [1, n])
    assert np.array_equal(np.sort(sides[lonely] @ [n, 1]), np.sort(facets @ [n, 1]))
    # on the true curves
    on = np.unique(facets)
    assert np.abs(domain.boundary.signed_distance(mesh.points[on].T)).max() <= 1e-12 * mesh.extent
    inside = np.setdiff1d(np.arange(n), on)
    assert (domain.signed_distance(mesh.points[inside].T) < 0).all()
    # the area is that within the chords: what the cells cover, and short of the curved one by little
    a, b = mesh.points[facets[:, 0]].T, mesh.points[facets[:, 1]].T
    assert cell_volumes(mesh).sum() == pytest.approx(0.5 * (a[0] * b[1] - a[1] * b[0]).sum(), rel=1e-12)
    assert set(mesh.facets) == set(domain.boundary_names)


def sharpest(mesh: CellMesh) -> float:
    """The scaled Jacobian that the sharpest corner of the boundary allows."""
    facets = np.concatenate(list(mesh.facets.values()))
    step = (mesh.points[facets[:, 1]] - mesh.points[facets[:, 0]]).T
    step = step / np.linalg.norm(step, axis=0)
    after = np.full(mesh.n_points, -1)
    after[facets[:, 0]] = np.arange(len(facets))
    u, v = -step, step[:, after[facets[:, 1]]]
    angle = np.mod(np.arctan2(u[1], u[0]) - np.arctan2(v[1], v[0]), 2 * np.pi)
    return float(np.sin(np.minimum(angle, np.pi / 3)).min() * 2 / np.sqrt(3))


@engines
@pytest.mark.parametrize("size", [0.25, 0.08])
@pytest.mark.parametrize("name", DOMAINS)
def test_meshes_of_many_shapes(name: str, size: float, engine: str) -> None:
    domain = DOMAINS[name]
    mesh = domain.mesh(size, engine)
    assert_follows(mesh, domain)
    quality = scaled_jacobian(mesh)
    assert quality.min() > 0.95 * min(sharpest(mesh), 0.45)
    assert quality.mean() > 0.75
    longest = np.linalg.norm(np.diff(mesh.points[mesh.edges], axis=1)[:, 0], axis=1).max()
    assert longest < 2 * size
    assert cell_volumes(mesh).sum() == pytest.approx(domain.area, rel=0.04)


@engines
def test_area_converges_with_the_square_of_the_size(engine: str) -> None:
    disk = Disk((3, -2), 0.5)
    errors = [disk.area - cell_volumes(disk.mesh(size, engine)).sum() for size in (0.1, 0.05)]
    assert 0 < errors[1] < errors[0] / 3.5


@engines
@settings(max_examples=25, deadline=None)
@given(x=st.floats(-1, 1), y=st.floats(-1, 1), r=st.floats(0.1, 0.9), angle=st.floats(0, 3), cut=st.booleans())
def test_meshes_of_random_combinations(engine: str, x: float, y: float, r: float, angle: float, cut: bool) -> None:
    hole = Ellipse((x, y), (r, 0.6 * r), angle, name="hole")
    gap = SQUARE.signed_distance(hole.sample_boundary(400).points).max()
    assume(abs(gap) > 0.02)  # cells in a gap much thinner than they are can be nothing but flat
    domain = SQUARE - hole if cut else SQUARE | hole
    mesh = domain.mesh(0.2, engine)
    assert_follows(mesh, domain)
    assert scaled_jacobian(mesh).min() > 0.5 * min(sharpest(mesh), 0.3)


@engines
@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_scale_does_not_matter(scale: float, engine: str) -> None:
    domain = Rectangle((0, 0), (2 * scale, scale)) - Disk((scale, 0.5 * scale), 0.2 * scale, "hole")
    mesh = domain.mesh(0.2 * scale, engine)
    assert_follows(mesh, domain)
    assert scaled_jacobian(mesh).min() > 0.4


def test_the_scipy_engine_is_seeded() -> None:
    a, b, c = (DOMAINS["holes"].mesh(0.2, "scipy", seed=s) for s in (1, 1, 2))
    assert np.array_equal(a.points, b.points) and np.array_equal(a.blocks[0].nodes, b.blocks[0].nodes)
    assert a.n_points != c.n_points or not np.array_equal(a.points, c.points)


def test_size_grows_away_from_a_small_hole() -> None:
    mesh = (Rectangle((0, 0), (4, 1), "wall") - Disk((0.5, 0.5), 0.02, "hole")).mesh(0.2, "scipy")
    area = cell_volumes(mesh)
    middle = mesh.points[mesh.blocks[0].nodes].mean(1)
    near = np.linalg.norm(middle - [0.5, 0.5], axis=1)
    assert area[near < 0.05].mean() < 0.02 * area[near > 1].mean()
    assert mesh.n_cells < 800
    assert len(mesh.facets["hole"]) >= 12


def test_engines_by_name() -> None:
    with pytest.raises(DomainError, match="'auto', 'gmsh', 'scipy' .got 'triangle'"):
        SQUARE.mesh(0.5, engine="triangle")
    assert SQUARE.mesh(0.5).n_cells > 20


def test_without_gmsh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert np.array_equal(SQUARE.mesh(0.5).points, SQUARE.mesh(0.5, "scipy").points)
    with pytest.raises(ImportError, match=r"meshmove\[gmsh\]"):
        SQUARE.mesh(0.5, "gmsh")


@pytest.mark.parametrize(
    ("domain", "size", "message"),
    [
        (SQUARE, 0, "positive cell size"),
        (SQUARE, np.nan, "positive cell size"),
        (SQUARE, 5, "smaller than the domain.*try 0.28"),
        (SQUARE, 1e-6, "at most 20,000,000 cells"),
        (SQUARE - Disk((0, 0), 2), 0.1, "empty domain"),
    ],
)
def test_bad_input_is_named(domain: Domain, size: float, message: str) -> None:
    with pytest.raises(DomainError, match=message):
        domain.mesh(size)


@needs_gmsh
@pytest.mark.skipif(not hasattr(signal, "SIGPIPE"), reason="there are no signals of pipes here")
def test_a_closed_pipe_is_an_exception_after_meshing() -> None:
    """In a process of its own, as the signal that Gmsh leaves behind would end this one."""
    code = (
        "import os; from meshmove.geometry.domains import Rectangle; "
        "Rectangle((0, 0), (1, 1)).mesh(0.5, 'gmsh'); r, w = os.pipe(); os.close(r)\n"
        "try:\n    os.write(w, b'x')\nexcept BrokenPipeError:\n    print('raised')"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (out.returncode, out.stdout) == (0, "raised\n"), out.stderr


@needs_gmsh
def test_gmsh_stays_as_its_user_had_it(capfd: pytest.CaptureFixture) -> None:
    import gmsh

    assert not gmsh.isInitialized()
    SQUARE.mesh(0.5, "gmsh")
    assert not gmsh.isInitialized()
    gmsh.initialize(interruptible=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        gmsh.option.setNumber("Mesh.Algorithm", 5)
        gmsh.model.add("other")
        gmsh.model.add("mine")
        gmsh.model.setCurrent("mine")
        gmsh.model.geo.addPoint(0, 0, 0)
        gmsh.model.geo.synchronize()
        models = gmsh.model.list()
        mesh = SQUARE.mesh(0.5, "gmsh")
        assert gmsh.isInitialized() and gmsh.model.getCurrent() == "mine" and gmsh.model.list() == models
        assert gmsh.option.getNumber("Mesh.Algorithm") == 5 and len(gmsh.model.getEntities()) == 1
    finally:
        gmsh.finalize()
    assert np.array_equal(mesh.points, SQUARE.mesh(0.5, "gmsh").points)
    assert capfd.readouterr() == ("", "")


@needs_gmsh
def test_gmsh_off_the_main_thread() -> None:
    made: list[CellMesh] = []
    worker = threading.Thread(target=lambda: made.append(DOMAINS["holes"].mesh(0.2, "gmsh")))
    worker.start()
    worker.join()
    assert_follows(made[0], DOMAINS["holes"])
