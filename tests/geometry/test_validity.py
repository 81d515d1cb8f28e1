"""Cells are valid everywhere or nowhere: exact families, every kind, against scikit-fem's determinants."""

import dataclasses

import meshio
import numpy as np
import pytest
import skfem

import meshmove
from meshmove.geometry import CellMesh, InvalidMeshError, TangledMeshError, Validity, inverted_cells, kind_of
from meshmove.geometry.cells.bernstein import NEGATIVE, POSITIVE, TOUCHING, Bernstein
from meshmove.geometry.cells.curvilinear import QUADRATIC, curvilinear
from meshmove.geometry.checks import check_cells
from meshmove.geometry.errors import MeshmoveError
from meshmove.meshes.describe import describe
from meshmove.meshes.source import Source
from meshmove.plugins.blocks import Block, assemble
from tests.shapes import box, turn

SECOND = tuple(QUADRATIC)
SOLID = ("hexahedron", "wedge", "pyramid")


def second_order(name, move=None):
    """One cell of second order, its nodes taken elsewhere by `move` (nodes (k, dim), in place)."""
    linear, parents = QUADRATIC[name]
    vertices = kind_of(linear).reference
    nodes = np.concatenate([vertices, *[vertices[list(p)].mean(axis=0)[None] for p in parents]])
    if move is not None:
        move(nodes)
    return assemble(nodes, [Block(name, np.arange(len(nodes))[None], vertices.shape[1])])


def twisted(kind, top):
    """A cell between z = 0 and 1 whose upper face is the lower one under the matrix `top` (2, 2).

    Its determinant is det((1 - z) I + z top) at every point: (1, tr / 2, det) in Bernstein form.
    """
    points = kind_of(kind).reference - [0.5, 0.5, 0]
    high = points[:, 2] == 1
    points[high, :2] = points[high, :2] @ np.asarray(top).T
    return CellMesh.single(points, np.arange(len(points))[None], kind)


def rotated(angle):
    return turn(angle) @ np.diag([1.0, 4.0])


# -- exact thresholds -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["hexahedron", "wedge"])
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_a_twisted_cell_folds_at_the_angle_at_which_its_determinant_vanishes(kind, scale):
    critical = np.arccos(-0.8)  # tr^2 / 4 = det
    for angle, state in ((critical - 1e-3, POSITIVE), (critical, TOUCHING), (critical + 1e-3, NEGATIVE)):
        mesh = twisted(kind, rotated(angle))
        mesh = mesh.moved(mesh.points * scale + 0.1 * scale)
        simplices = mesh.points[mesh.corners[0]]
        assert (np.linalg.det(simplices[:, 1:] - simplices[:, :1]) > 0).all()  # the corners tell nothing
        assert Validity(mesh).state.tolist() == [state]


@pytest.mark.parametrize("name", SECOND)
@pytest.mark.parametrize(("place", "state"), [(0.26, POSITIVE), (0.25, TOUCHING), (0.24, NEGATIVE), (0.76, NEGATIVE)])
def test_a_mid_side_node_may_go_as_far_as_the_quarter_points(name, place, state):
    def move(nodes):
        first = kind_of(QUADRATIC[name][0]).vertices
        i, j = QUADRATIC[name][1][0]
        nodes[first] = nodes[i] + place * (nodes[j] - nodes[i])

    mesh = second_order(name, move)
    assert Validity(mesh).state.tolist() == [state]
    assert Validity(mesh).straight.tolist() == [POSITIVE]


@pytest.mark.parametrize("seed", range(20))
def test_the_sign_of_a_polynomial_of_two_variables_is_that_of_its_minimum(seed):
    # a quadratic with its minimum inside, raised by so much that the minimum is what we want
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(0.2, 0.8, 2)
    space = Bernstein((1, 1), (2, 2))
    x, y = space.points
    bowl = (x - a) ** 2 + 3 * (y - b) ** 2 + 0.5 * (x - a) * (y - b)
    for least, sign in ((1e-4, POSITIVE), (-1e-4, NEGATIVE)):
        assert space.signs((space.from_values @ (bowl + least))[None]).tolist() == [sign]


def test_what_is_not_finite_is_not_valid():
    space = Bernstein((2,), (2,))
    values = np.ones((3, 6))
    values[0, 3], values[1, 2] = np.nan, np.inf
    assert space.signs(values).tolist() == [NEGATIVE, NEGATIVE, POSITIVE]
    assert space.signs(np.zeros((1, 6))).tolist() == [TOUCHING]


# -- every kind, against other code -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cls", "linear", "second"),
    [
        (skfem.MeshTri2, skfem.MeshTri, "triangle6"),
        (skfem.MeshQuad2, skfem.MeshQuad, "quad9"),
        (skfem.MeshTet2, skfem.MeshTet, "tetra10"),
        (skfem.MeshHex2, skfem.MeshHex, "hexahedron27"),
    ],
)
def test_valid_means_that_scikit_fem_sees_no_negative_determinant(cls, linear, second):
    flat = cls.from_mesh(linear().refined(1))
    lattice = np.stack(np.meshgrid(*[np.linspace(0, 1, 9)] * flat.dim(), indexing="ij")).reshape(flat.dim(), -1)
    if second in ("triangle6", "tetra10"):
        lattice = lattice[:, lattice.sum(axis=0) <= 1 + 1e-12]
    sign = np.sign(flat.mapping().detDF(lattice))  # which axes a reference cell has differs between numberings
    counted = set()
    for seed in range(6):
        rng = np.random.default_rng(seed)
        push = (0.04 if flat.dim() == 2 else 0.02) * (1 + seed % 3) * rng.uniform(-1, 1, flat.doflocs.shape)
        mesh = dataclasses.replace(flat, doflocs=flat.doflocs + push)
        cells = Source.of(mesh).cells
        assert cells.blocks[0].second == second
        validity = Validity(cells)
        least = (mesh.mapping().detDF(lattice) * sign).min(axis=1)
        assert (least[validity.state == POSITIVE] > 0).all()
        assert (validity.state[least < 0] == NEGATIVE).all()
        # what is negative between the lattice's points is next to nothing at them
        assert (least[validity.state == NEGATIVE] < 0.1 * np.abs(mesh.mapping().detDF(lattice)).max()).all()
        counted |= set(validity.state.tolist())
    assert counted == {POSITIVE, NEGATIVE}


@pytest.mark.parametrize("name", ["hexahedron", "wedge", "triangle6", "triangle7", "quad8", "quad9", "tetra10"])
def test_the_mean_coefficient_is_the_integral_of_the_determinant(name):
    rule = curvilinear(name)
    linear = QUADRATIC.get(name, (name,))[0]
    rest = second_order(name).nodes if name in SECOND else kind_of(name).reference
    cell = rest + 0.05 * np.random.default_rng(3).normal(size=rest.shape)
    x, w = kind_of(linear).quadrature(5)
    det = np.linalg.det(np.einsum("cqv,vi->qci", rule.slopes(x), cell))
    assert rule.coefficients(cell[None]).mean() * w.sum() == pytest.approx(det @ w, rel=1e-10)


@pytest.mark.parametrize("name", ["pyramid", "pyramid13"])
def test_pyramids_are_mapped_by_the_usual_rational_functions(name):
    """Bedrosian's functions on -1 <= xi, eta <= 1, 0 <= zeta < 1, differentiated by differences."""
    rng = np.random.default_rng(5)
    mesh = second_order("pyramid13", lambda nodes: None)
    nodes = mesh.nodes[:5] if name == "pyramid" else mesh.nodes
    nodes = nodes + 0.1 * rng.normal(size=nodes.shape)
    signs = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])

    def shape(x):
        xi, eta, zeta = x
        a, b = xi * signs[:, 0], eta * signs[:, 1]
        corner = ((1 + a) * (1 + b) - zeta + a * b * zeta / (1 - zeta)) / 4
        if name == "pyramid":
            return np.r_[corner, zeta]
        low = [
            (1 + xi - zeta) * (1 - xi - zeta) * (1 + s * eta - zeta) / 2 / (1 - zeta)
            if k % 2 == 0
            else (1 + eta - zeta) * (1 - eta - zeta) * (1 + s * xi - zeta) / 2 / (1 - zeta)
            for k, s in enumerate((-1, 1, 1, -1))
        ]
        high = zeta * (1 + a - zeta) * (1 + b - zeta) / (1 - zeta)
        return np.r_[corner * (a + b - 1), zeta * (2 * zeta - 1), low, high]

    rule = curvilinear(name)
    for _ in range(5):
        p, q, zeta = rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(0, 0.9)
        x = np.array([p * (1 - zeta), q * (1 - zeta), zeta])
        h = 1e-6 * np.eye(3)
        jacobian = np.array([(shape(x + e) - shape(x - e)) / 2e-6 @ nodes for e in h])
        at = np.array([[p], [q], [1 - zeta]])
        mine = np.einsum("cqv,vi->qci", rule.slopes(at), nodes)
        assert np.linalg.det(mine)[0] == pytest.approx(np.linalg.det(jacobian), rel=1e-6)
        np.testing.assert_allclose(rule.values(at)[:, 0], shape(x), atol=1e-12)


@pytest.mark.parametrize("name", [*SOLID, *SECOND])
def test_validity_minds_no_motion_mirror_or_scale(name):
    rng = np.random.default_rng(11)
    linear = QUADRATIC.get(name, (name,))[0]
    dim = kind_of(linear).dim
    base = second_order(name) if name in SECOND else None
    rest = base.nodes if base is not None else kind_of(name).reference
    seen = set()
    for _ in range(12):
        x = rest + rng.uniform(0, 0.7 if name == "pyramid" else 0.35) * rng.normal(size=rest.shape)
        motion = np.linalg.qr(rng.normal(size=(dim, dim)))[0] * 10 ** rng.uniform(-6, 6)
        states = []
        for y in (x, x @ motion.T + motion @ rng.normal(size=dim)):
            if base is not None:
                mesh = assemble(y, [Block(name, np.arange(len(y))[None], dim)])
            else:
                mesh = CellMesh.single(y, np.arange(len(y))[None], name)
            states.append(Validity(mesh).state.tolist())
        assert states[0] == states[1]
        seen |= set(states[0])
    assert {POSITIVE, NEGATIVE} <= seen


# -- what is refused, and what is not ---------------------------------------------------------------------------------


def many(mesh, bad):
    """The cell of `mesh` among seven that are well, as number `bad`."""
    kind = mesh.blocks[0].kind
    cells = [kind.reference + 3.0 * k * np.eye(3)[0] for k in range(8)]
    cells[bad] = mesh.points + 3.0 * bad * np.eye(3)[0]
    return CellMesh.single(np.concatenate(cells), np.arange(8 * kind.vertices).reshape(8, -1), kind.name)


@pytest.mark.parametrize("kind", ["hexahedron", "wedge"])
def test_cells_that_are_inverted_inside_are_refused_by_number(kind):
    mesh = many(twisted(kind, rotated(2.6)), 5)
    with pytest.raises(TangledMeshError, match=r"1 of 8 are inverted in a part of them: cells 5\)"):
        meshmove.adapt(mesh, monitor=lambda x: 1 + x[0] ** 2)
    with pytest.raises(InvalidMeshError, match="determinant of zero at a point: cells 5"):
        check_cells(many(twisted(kind, rotated(np.arccos(-0.8))), 5))
    rows = dict(describe(Source.of(mesh)))
    assert rows["inverted or flat cells"] == "1" and rows["fit to be moved"].startswith("no. ")


@pytest.mark.parametrize("name", SECOND)
def test_folded_cells_of_second_order_are_refused_and_quarter_points_are_not(name):
    def at(place):
        first = kind_of(QUADRATIC[name][0]).vertices
        i, j = QUADRATIC[name][1][0]
        return second_order(name, lambda n: n.__setitem__(first, n[i] + place * (n[j] - n[i])))

    check_cells(at(0.25))  # as at the tip of a crack
    with pytest.raises(TangledMeshError, match="are inverted in a part of them: cells 0"):
        check_cells(at(0.2))


@pytest.mark.parametrize("kind", ["wedge", "pyramid", "hexahedron"])
def test_slender_and_sheared_cells_are_not_refused(kind):
    reference = kind_of(kind).reference
    for matrix in (np.diag([1, 1, 1e-6]), np.diag([1e4, 1, 1]), np.array([[1, 0, 5], [0, 1, 3], [0, 0, 1.0]])):
        check_cells(CellMesh.single(reference @ matrix.T, np.arange(len(reference))[None], kind))


@pytest.mark.parametrize("kind", SOLID)
def test_cells_that_fold_inside_are_lost(kind):
    mesh = box("hexahedron", 2) if kind == "hexahedron" else None
    if kind == "hexahedron":
        points = mesh.points.copy()
        top = np.flatnonzero(points[:, 2] > 0.99)
        points[top, :2] = 0.5 + (points[top, :2] - 0.5) @ (0.9 * turn(3.0) @ np.diag([1, 4])).T
        lost = inverted_cells(mesh, points)
        assert set(lost) >= set(Validity(mesh).lost(points)) and len(lost)
    cell = CellMesh.single(kind_of(kind).reference, np.arange(kind_of(kind).vertices)[None], kind)
    assert not len(Validity(cell).lost(cell.points)) and Validity(cell).keeps(cell.points)
    broken = cell.points.copy()
    broken[0] = np.nan
    assert Validity(cell).lost(broken).tolist() == [0] and not Validity(cell).keeps(broken)
    if kind != "pyramid":
        folded = twisted(kind, rotated(2.6)).points
        start = twisted(kind, np.eye(2))
        assert Validity(start).lost(folded).tolist() == [0] and not Validity(start).keeps(folded)


@pytest.mark.parametrize("seed", range(50))
def test_the_corners_of_a_pyramid_say_all_however_warped_its_base(seed):
    x = kind_of("pyramid").reference + np.random.default_rng(seed).uniform(-0.8, 0.8, (5, 3))
    dense = np.stack(np.meshgrid(*[np.linspace(-1, 1, 21)] * 2)).reshape(2, -1)
    slopes = curvilinear("pyramid").slopes(np.concatenate([dense, np.ones((1, dense.shape[1]))]))
    det = np.linalg.det(np.einsum("cqv,vi->qci", slopes, x))
    simplices = x[kind_of("pyramid").corners]
    corners = np.linalg.det(simplices[:, 1:] - simplices[:, :1]) / 4  # of the square from -1 to 1
    assert det.min() == pytest.approx(corners.min(), abs=1e-12)
    assert det.max() == pytest.approx(corners.max(), abs=1e-12)


def test_errors_of_meshio_cells_name_them_too():
    nodes = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0], [1, 0.5], [0.5, 1], [0, 0.5], [0.9, 0.1]])
    mesh = meshio.Mesh(nodes, [("triangle6", [[0, 1, 2, 4, 5, 8], [0, 2, 3, 8, 6, 7]])])
    with pytest.raises(MeshmoveError, match="1 of 2 are inverted in a part of them: cells 0"):
        meshmove.adapt(mesh, monitor=lambda x: 1 + x[0])


@pytest.mark.parametrize("kind", ["triangle", "quad", "tetra", "hexahedron"])
def test_a_cell_that_is_flat_but_for_rounding_is_lost(kind):
    """The sign of what is left of its volume then is one of rounding: another formula gives the other."""
    mesh = box(kind, 1)
    to = mesh.points.copy()
    for share, lost in ((1e-9, 0), (1e-13, mesh.n_cells)):
        to[:, 0] = share * mesh.points[:, 0]
        assert len(Validity(mesh).lost(to)) == lost and Validity(mesh).keeps(to) == (not lost)
