"""scikit-fem in and out: bits, tags and orientation kept; second order stays curved; periodic meshes stay glued."""

import numpy as np
import pytest
import skfem

from meshmove.geometry.errors import FieldError, InvalidMeshError, UnsupportedMeshError
from meshmove.geometry.quality import cell_volumes, corner_volumes
from meshmove.outcomes import Outcome
from meshmove.plugins.skfem import converter

CLASSES = [
    skfem.MeshTri1, skfem.MeshTri2, skfem.MeshQuad1, skfem.MeshQuad2, skfem.MeshTet1, skfem.MeshTet2,
    skfem.MeshHex1, skfem.MeshHex2, skfem.MeshWedge1,
]  # fmt: skip
PERIODIC = [skfem.MeshTri1DG, skfem.MeshQuad1DG, skfem.MeshHex1DG]


def make(cls):
    mesh = cls() if cls is skfem.MeshWedge1 else cls().refined(1)
    mesh = mesh.with_boundaries({"left": lambda x: x[0] == 0, "all": lambda x: x[0] >= 0})
    return mesh.with_subdomains({"low": lambda x: x[1] < 0.5, "near": lambda x: x[0] < 0.5})


def periodic(cls, axes):
    x = np.linspace(0, 1, 4)
    return cls.init_tensor(*[x] * (3 if cls is skfem.MeshHex1DG else 2), periodic=axes)


def moves(mesh, seed=0):
    cells = converter.read(mesh)
    return cells.lifted(0.02 * np.random.default_rng(seed).normal(size=cells.points.shape))


def assert_same_tags(a, b):
    assert type(a) is type(b)
    assert a.t.dtype == b.t.dtype and np.array_equal(a.t, b.t)
    for mine, theirs in ((a.boundaries, b.boundaries), (a.subdomains, b.subdomains)):
        assert list(mine or {}) == list(theirs or {})
        for name in mine or {}:
            assert type(mine[name]) is type(theirs[name])
            assert mine[name].dtype == theirs[name].dtype
            assert np.array_equal(mine[name], theirs[name])
            if hasattr(mine[name], "ori"):
                assert np.array_equal(mine[name].ori, theirs[name].ori)
    assert a.sort_t == b.sort_t


@pytest.mark.parametrize("cls", CLASSES)
def test_a_round_trip_keeps_every_bit(cls):
    mesh = make(cls)
    same = converter.write(mesh, np.zeros(mesh.p.T.shape))
    assert same.p.tobytes() == mesh.p.tobytes()
    assert same is not mesh
    assert_same_tags(same, mesh)


@pytest.mark.parametrize("cls", CLASSES)
def test_nodes_move_by_the_displacement_and_the_input_stays(cls):
    mesh = make(cls)
    d, before = moves(mesh), mesh.p.copy()
    d[::3] = 0
    mesh.facets, mesh.f2t, mesh.mapping()  # noqa: B018 - fill the caches
    moved = converter.write(mesh, d)
    assert np.array_equal(moved.p, mesh.p + d.T)
    assert np.array_equal(mesh.p, before)
    assert_same_tags(moved, mesh)
    assert_same_tags(converter.write(moved, -d), mesh)
    expected = skfem.Basis(cls(moved.p, moved.t, sort_t=False), cls.elem()).dx.sum()
    assert skfem.Basis(moved, cls.elem()).dx.sum() == pytest.approx(expected)


@pytest.mark.parametrize("cls", CLASSES)
def test_cells_fill_the_domain_in_vtk_order(cls):
    cells = converter.read(make(cls))
    assert np.abs(cell_volumes(cells)).sum() == pytest.approx(1.0)
    assert (np.abs(corner_volumes(cells)) > 1e-3).all()


@pytest.mark.parametrize("cls", [skfem.MeshTri2, skfem.MeshQuad2, skfem.MeshTet2, skfem.MeshHex2])
def test_the_lift_keeps_straight_edges_straight(cls):
    mesh = cls().refined(1)
    cells = converter.read(mesh)
    displacement = 0.05 * np.random.default_rng(1).normal(size=cells.points.shape)
    linear = cls.__bases__[-1](cells.points.T + displacement.T, mesh.t, sort_t=False)
    expected = cls.from_mesh(linear).p
    np.testing.assert_allclose(converter.write(mesh, cells.lifted(displacement)).p, expected, atol=1e-14)


def test_curved_edges_keep_their_offset():
    mesh = skfem.MeshTri2.init_circle(2)
    cells = converter.read(mesh)
    assert cells.n_nodes == mesh.p.shape[1]
    straight = skfem.MeshTri2.from_mesh(skfem.MeshTri1(cells.points.T, mesh.t, sort_t=False)).p
    assert np.abs(mesh.p - straight).max() > 0.01
    displacement = 0.01 * np.random.default_rng(0).normal(size=cells.points.shape)
    moved = converter.write(mesh, cells.lifted(displacement))
    after = skfem.MeshTri2.from_mesh(skfem.MeshTri1(cells.points.T + displacement.T, mesh.t, sort_t=False)).p
    np.testing.assert_allclose(moved.p - after, mesh.p - straight, atol=1e-14)


@pytest.mark.parametrize("cls", CLASSES)
def test_boundaries_and_subdomains_are_read(cls):
    mesh = make(cls)
    cells = converter.read(mesh)
    left = cells.facets["left"]
    assert len(left) == len(mesh.boundaries["left"])
    assert not cells.points[left[left >= 0], 0].any()
    assert len(cells.facets["all"]) == len(mesh.boundaries["all"])
    if cls is not skfem.MeshWedge1:
        labels = cells.regions
        low, near = (np.isin(np.arange(mesh.nelements), mesh.subdomains[k]) for k in ("low", "near"))
        pairs = {(int(a), bool(b), bool(c)) for a, b, c in zip(labels, low, near, strict=True)}
        assert len(pairs) == len(set(labels.tolist())) == len({p[1:] for p in pairs})


def test_orientation_of_boundaries_and_cells_is_kept():
    mesh = skfem.MeshTri().refined(2).oriented()
    inner = mesh.facets_around(lambda x: x[0] < 0.5)
    mesh = mesh.with_boundaries({"inner": inner})
    moved = converter.write(mesh, moves(mesh))
    assert isinstance(moved.boundaries["inner"], type(inner))
    assert_same_tags(moved, mesh)
    assert (cell_volumes(converter.read(mesh)) > 0).all()


def test_wedges_pad_their_triangles():
    facets = converter.read(make(skfem.MeshWedge1)).facets["all"]
    assert ((facets == -1).sum(axis=1) <= 1).all()
    assert (facets[:, 3] == -1).any() and (facets[:, 3] >= 0).any()


def test_unused_nodes_stay():
    mesh = skfem.MeshTri().refined(1)
    p = np.insert(mesh.p, 3, [9.0, 9.0], axis=1)
    loose = skfem.MeshTri(p, np.where(mesh.t >= 3, mesh.t + 1, mesh.t))
    cells = converter.read(loose)
    assert cells.n_points == mesh.p.shape[1] and cells.n_nodes == p.shape[1]
    assert not cells.lifted(np.ones(cells.points.shape))[3].any()


@pytest.mark.parametrize("cls", [skfem.MeshHex1, skfem.MeshHex2, skfem.MeshWedge1])
def test_facets_go_round_their_vertices(cls):
    cells = converter.read(make(cls))
    quads = cells.facets["all"][cells.facets["all"][:, 3] >= 0]
    a, b, c, d = cells.points[quads].transpose(1, 0, 2)
    assert (np.einsum("ij,ij->i", np.cross(b - a, c - a), np.cross(c - a, d - a)) > 0).all()


@pytest.mark.parametrize("cls", PERIODIC)
@pytest.mark.parametrize("axes", [[], [0], [0, 1]])
def test_periodic_meshes_are_unfolded(cls, axes):
    mesh = periodic(cls, axes)
    cells = converter.read(mesh)
    assert cells.n_points == 4**cells.dim
    assert np.abs(cell_volumes(cells)).sum() == pytest.approx(1.0)
    offsets = (
        np.zeros((0, cells.dim)) if cells.periodic is None else np.diff(cells.points[cells.periodic], axis=1)[:, 0]
    )
    assert len(offsets) == {0: 0, 1: 4, 2: 7}[len(axes)] * (4 if cells.dim == 3 else 1)
    np.testing.assert_allclose(offsets, np.rint(offsets), atol=1e-12)
    np.testing.assert_allclose(cells.lifted(cells.points), mesh.p.T, atol=1e-12)


@pytest.mark.parametrize("cls", PERIODIC)
def test_periodic_meshes_stay_periodic(cls):
    mesh = periodic(cls, [0])
    cells = converter.read(mesh)
    d = 0.02 * np.random.default_rng(0).normal(size=cells.points.shape)
    d[cells.periodic[:, 0]] = d[cells.periodic[:, 1]]
    moved = converter.write(mesh, cells.lifted(d))
    assert_same_tags(moved, mesh)
    again = converter.read(moved)
    np.testing.assert_allclose(again.points, cells.points + d, atol=1e-14)
    assert np.array_equal(again.periodic, cells.periodic)
    assert np.array_equal(moved._ix, mesh._ix)
    np.testing.assert_allclose(moved._orig.p[:, moved._orig.t], moved.p[:, moved.dofs.element_dofs], atol=1e-14)
    same = converter.write(mesh, np.zeros(mesh.p.T.shape))
    assert same.p.tobytes() == mesh.p.tobytes() and same._orig.p.tobytes() == mesh._orig.p.tobytes()


def test_named_boundaries_of_a_periodic_mesh():
    mesh = periodic(skfem.MeshQuad1DG, [0])
    bottom = np.flatnonzero((mesh.f2t[1] == -1) & (mesh.p[1][mesh.dofs.element_dofs][:, mesh.f2t[0]].min(axis=0) == 0))
    from dataclasses import replace

    cells = converter.read(replace(mesh, _boundaries={"bottom": bottom}))
    assert len(cells.facets["bottom"]) == 3
    assert not cells.points[cells.facets["bottom"], 1].any()


@pytest.mark.parametrize(
    "element",
    [skfem.ElementTriP1(), skfem.ElementTriP2(), skfem.ElementTriP3(), skfem.ElementTriP1DG(), skfem.ElementTriCR()],
)
@pytest.mark.parametrize("cls", [skfem.MeshTri1, skfem.MeshTri2])
def test_node_values_are_exact_for_linear_functions(cls, element):
    mesh = cls().refined(2)
    basis = skfem.Basis(mesh, element)
    dofs = basis.project(lambda x: 1 + 2 * x[0] - 3 * x[1])
    np.testing.assert_allclose(
        converter.node_values(mesh, (basis, dofs)), 1 + 2 * mesh.p[0] - 3 * mesh.p[1], atol=1e-12
    )


def test_node_values_average_and_take_vectors_and_parts():
    mesh = make(skfem.MeshHex1)
    constant = skfem.Basis(mesh, skfem.ElementHex0())
    values = converter.node_values(mesh, (constant, np.full(constant.N, 2.5)))
    np.testing.assert_allclose(values, 2.5)
    vector = skfem.Basis(mesh, skfem.ElementVector(skfem.ElementHex1()))
    dofs = vector.project(lambda x: np.stack([x[1], x[2], x[0]]))
    np.testing.assert_allclose(converter.node_values(mesh, (vector, dofs)), mesh.p.T[:, [1, 2, 0]], atol=1e-12)
    part = skfem.Basis(mesh, skfem.ElementHex1(), elements=mesh.subdomains["low"])
    values = converter.node_values(mesh, (part, part.project(lambda x: x[0])))
    inside = np.unique(mesh.t[:, mesh.subdomains["low"]])
    np.testing.assert_allclose(values[inside], mesh.p[0, inside], atol=1e-12)
    assert np.isnan(np.delete(values, inside)).all()


def test_node_values_say_what_is_wrong():
    mesh = skfem.MeshTri().refined(1)
    basis = skfem.Basis(mesh, skfem.ElementTriP1())
    with pytest.raises(FieldError, match=rf"Expected {basis.N} degrees of freedom.*got shape \(3,\)"):
        converter.node_values(mesh, (basis, np.zeros(3)))
    other = skfem.Basis(mesh.refined(1), skfem.ElementTriP1())
    with pytest.raises(FieldError, match="8 cells.*another mesh, 32 cells"):
        converter.node_values(mesh, (other, np.zeros(other.N)))
    with pytest.raises(FieldError, match="Expected a pair"):
        converter.node_values(mesh, basis)


def test_of_a_flow_the_values_are_the_velocity_and_of_equals_all():
    mesh = skfem.MeshTri().refined(1)
    flow = skfem.Basis(mesh, skfem.ElementVector(skfem.ElementTriP2()) * skfem.ElementTriP1())
    dofs = np.random.default_rng(0).normal(size=flow.N)
    (velocity, part), _ = flow.split(dofs)
    np.testing.assert_array_equal(
        converter.node_values(mesh, (flow, dofs)), converter.node_values(mesh, (part, velocity))
    )
    assert converter.element(mesh, (flow, dofs)) == ("ElementTriP2", 2)
    both = skfem.Basis(mesh, skfem.ElementTriP1() * skfem.ElementTriP1())
    assert converter.node_values(mesh, (both, np.arange(float(both.N)))).shape == (mesh.nvertices, 2)
    assert converter.check_field(mesh, (both, np.zeros(both.N))) == ()
    (told,) = converter.check_field(mesh, (flow, dofs))
    assert told.outcome is Outcome.PART_OF_FIELDS and "vectors of ElementTriP2" in told and "basis.split" in told


def test_values_inside_of_cells_are_those_of_the_function():
    mesh = skfem.MeshTri().refined(1)
    basis = skfem.Basis(mesh, skfem.ElementTriP2())
    x, y = basis.doflocs
    points = np.array([[0.5, 0.2], [0.1, 0.3]])
    at = mesh.mapping().F(points)
    found = converter.cell_values(mesh, (basis, x * y - 3j * y**2), points)
    np.testing.assert_allclose(found, [at[0] * at[1] - 3j * at[1] ** 2])


@pytest.mark.parametrize("cls", [skfem.MeshTri, skfem.MeshTet, skfem.MeshTri2])
def test_a_moved_mesh_need_not_find_its_facets_again(cls):
    mesh = cls().refined(2)
    step = 1e-3 * np.sin(3 * mesh.p.T)
    names = ["facets", "t2f", "f2t", *(["edges", "t2e", "f2e"] if mesh.dim() == 3 else [])]
    anew = converter.write(mesh, step)
    known = [getattr(mesh, name) for name in names]
    moved = converter.write(mesh, step)
    for name, own in zip(names, known, strict=True):
        assert getattr(moved, name) is own
        np.testing.assert_array_equal(getattr(anew, name), own)


def test_there_is_no_point_data():
    mesh = skfem.MeshTri()
    assert converter.fields(mesh) == {}
    assert converter.with_fields(mesh, {"u": np.zeros(4)}) is mesh
    assert converter.dtype(mesh) == np.float64


def test_what_cannot_be_moved_is_named():
    with pytest.raises(UnsupportedMeshError, match="triangles.*got MeshLine1.*1-D meshes"):
        converter.read(skfem.MeshLine())
    with pytest.raises(InvalidMeshError, match="empty MeshTri1"):
        converter.read(skfem.MeshTri(np.zeros((2, 0)), np.zeros((3, 0), int)))
    bad = skfem.MeshTri(np.array([[0, 1, np.nan], [0, 0, 1.0]]), np.array([[0], [1], [2]]))
    with pytest.raises(InvalidMeshError, match="NaN or infinity at 1 nodes: 2"):
        converter.read(bad)
    with pytest.raises(ValueError, match=r"shape \(4, 2\) \(got \(2, 4\)\)"):
        converter.write(skfem.MeshTri(), np.zeros((2, 4)))


@pytest.mark.parametrize("cls", [skfem.MeshTri1DG, skfem.MeshQuad1DG])
def test_named_facets_where_a_periodic_mesh_is_glued_are_those_of_both_sides(cls):
    x = np.linspace(0, 1, 5)
    mesh = cls.init_tensor(x, x, periodic=[0])
    across = [np.ptp(p[mesh.dofs.element_dofs[:, c]].mean(axis=0)) for p in mesh.p[:1] for c in mesh.f2t.T]
    seam = np.flatnonzero((np.array(across) > 0.5) & (mesh.f2t[1] >= 0))
    assert len(seam) == 4
    mesh._boundaries = {"seam": seam}
    cells = converter.read(mesh)
    sides = cells.points[cells.facets["seam"]][:, :, 0]
    assert sorted(sides.tolist()) == [[0, 0]] * 4 + [[1, 1]] * 4
