"""Regions under any name: what tells subdomains apart, what does not, and the argument that says so."""

import pickle
import re

import meshio
import numpy as np
import pytest
import pyvista as pv
import skfem
import torch
import torch_geometric.data
from typer.testing import CliRunner

import meshmove
from meshmove.cli.commands import app
from meshmove.meshes import regions as _regions
from meshmove.meshes.describe import describe
from meshmove.meshes.source import Source

AT = np.linspace(0, 1, 11)[3]
GRID = skfem.MeshTri.init_tensor(*[np.linspace(0, 1, 11)] * 2)
CENTRES = GRID.p[:, GRID.t].mean(axis=1)
LEFT = (CENTRES[0] < AT).astype(int)


def push(x):
    """A monitor that draws the interface's nodes to the middle, were they free."""
    return 1 + 10 * np.exp(-60 * (x[0] - 0.5) ** 2)


def mesh_with(**data):
    cells = [("triangle", GRID.t.T.copy())]
    return meshio.Mesh(GRID.p.T.copy(), cells, cell_data={k: [v] for k, v in data.items()})


def shift(mesh, **options):
    """How far the nodes of the interface x = 0.3 leave it, and the report."""
    out = meshmove.adapt(mesh, monitor=push, effort=0.3, **options)
    points = np.asarray(out.mesh.p.T if hasattr(out.mesh, "p") else out.mesh.points)
    return np.abs(points[np.isclose(GRID.p[0], AT), 0] - AT).max(), out.report


def taken(mesh):
    return Source.of(mesh).cells.region_names


NAMES = (
    "gmsh:physical material attribute mat_id MaterialIDs name_to_read ElementBlockIds gmsh:geometrical f data".split()
)


@pytest.mark.parametrize("name", NAMES)
def test_interfaces_stay_whatever_the_name(name):
    assert taken(mesh_with(**{name: LEFT})) == (name,)


@pytest.mark.parametrize("name", ["mat_id", "some_numbers"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool])
def test_interfaces_do_not_move(name, dtype):
    moved, report = shift(mesh_with(**{name: LEFT.astype(dtype)}))
    assert moved < 1e-15 and report.regions == (name,) and f"kept apart by {name}" in str(report)
    assert not report.warnings


def test_pyvista_meshes_are_read_alike():
    grid = pv.UnstructuredGrid({5: GRID.t.T}, np.c_[GRID.p.T, 0 * GRID.p[0]])
    for name, dtype in (("material", float), ("zone", "u1"), ("other", "i4")):
        grid.cell_data[name] = LEFT.astype(dtype)
        assert taken(grid) == (name,)
        assert shift(grid)[0] < 1e-15
        grid.cell_data.remove(name)


def test_scikit_fem_subdomains_count():
    mesh = GRID.with_subdomains({"steel": np.flatnonzero(LEFT)})
    assert shift(mesh)[1].regions == ("steel",) and shift(mesh)[0] < 1e-15
    assert shift(mesh, regions=None)[0] > 0.01


def test_a_subdomain_of_the_numbers_of_gmshs_entities_is_none():
    """`skfem.Mesh.load` makes one for every file of Gmsh: a few cells, whose borders are no interface."""
    mesh = GRID.with_subdomains({_regions.BOUNDING: np.array([4, 1, 9, -3])})
    assert taken(mesh) == () and "not of cells" in _regions.verdicts(Source.of(mesh, None).cells)[_regions.BOUNDING]
    assert taken(mesh.with_subdomains({"steel": np.flatnonzero(LEFT)})) == ("steel",)


def test_consecutive_blocks_of_one_type_count_where_nothing_else_does():
    blocks = [("triangle", GRID.t.T[LEFT == k].copy()) for k in (0, 1)]
    mesh = meshio.Mesh(GRID.p.T.copy(), blocks)
    assert taken(mesh) == (_regions.BLOCKS,) and shift(mesh)[0] < 1e-15
    mesh.cell_data["material"] = [np.ones(len(b), int) for b in mesh.cells]
    assert taken(mesh) == ()  # one material over both blocks


def test_geometrical_entities_count_without_physical_groups_only():
    low = (CENTRES[1] < 0.5).astype(int) + 1
    zero = np.zeros_like(low)
    assert taken(mesh_with(**{"gmsh:geometrical": low, "gmsh:physical": LEFT + 1})) == ("gmsh:physical",)
    assert taken(mesh_with(**{"gmsh:geometrical": low, "gmsh:physical": zero + 5})) == ()
    assert taken(mesh_with(**{"gmsh:geometrical": low, "gmsh:physical": zero})) == ("gmsh:geometrical",)


def rejected():
    rng, n = np.random.default_rng(0), GRID.t.shape[1]
    coarse = skfem.MeshTri.init_tensor(*[np.linspace(0, 1, 6)] * 2)
    parents = coarse.element_finder()(*CENTRES)
    yield "cell_ids", np.arange(n), "own value"
    yield "material", np.arange(n), "own value"
    yield "numbers", rng.permutation(n) // 2, "own value|facets"
    yield "colouring", rng.integers(0, 4, n), "name"
    yield "anything", rng.integers(0, 4, n), "facets"
    yield "marked", rng.integers(0, 2, n), "facets"
    yield "coarse_cell", parents, "facets"
    yield "partition", LEFT, "name"
    yield "mpi_rank", LEFT, "name"
    yield "vtkGhostType", LEFT, "name"
    yield "alike", 0 * LEFT, "alike"
    yield "smooth", LEFT.astype(float), "not of integers"
    yield "material", LEFT + 0.5, "not of integers"


@pytest.mark.parametrize(("name", "values", "why"), list(rejected()))
def test_what_tells_no_regions_apart(name, values, why):
    mesh = mesh_with(**{name: values})
    cells = Source.of(mesh).cells
    assert cells.regions is None and cells.region_names == ()
    assert re.search(why, _regions.verdicts(cells)[name])


def test_what_is_named_is_taken():
    mesh = mesh_with(conductivity=np.where(LEFT, 2.5, 1.0), partition=(CENTRES[1] < 0.5).astype(int), material=LEFT)
    assert Source.of(mesh, "conductivity").cells.region_names == ("conductivity",)
    both = Source.of(mesh, ["partition", "material"]).cells
    assert both.region_names == ("partition", "material") and len(np.unique(both.regions)) == 4
    assert shift(mesh, regions=None)[0] > 0.01
    moved, report = shift(mesh, regions="conductivity")
    assert moved < 1e-15 and report.regions == ("conductivity",)
    with pytest.raises(ValueError, match="'mat'; the mesh has: 'conductivity', 'partition', 'material'"):
        meshmove.adapt(mesh, monitor=push, regions="mat")
    with pytest.raises(ValueError, match="'auto', None, or one or more names"):
        meshmove.adapt(mesh, monitor=push, regions=3)


def test_loops_and_moving_meshes_pass_the_choice_on():
    mesh = mesh_with(material=LEFT)
    field = np.tanh(10 * (GRID.p[0] - 0.5))
    for regions, expected in (("auto", ("material",)), (None, ())):
        assert (
            meshmove.adapt_loop(mesh, lambda m: field, steps=1, regions=regions, effort=0.1).report.regions == expected
        )
        moving = meshmove.MovingMesh(mesh, regions=regions, effort=0.1)
        moving.step(field, 1.0)
        assert moving.last.report.regions == expected


def test_a_moved_mesh_keeps_the_choice_and_numbering_does_not_matter():
    order = np.random.default_rng(1).permutation(len(LEFT))
    mesh = meshio.Mesh(GRID.p.T.copy(), [("triangle", GRID.t.T[order])], cell_data={"words": [LEFT[order]]})
    out = meshmove.adapt(mesh, monitor=push, effort=0.3)
    assert out.report.regions == ("words",)
    assert out.moved.region_names == ("words",) and np.array_equal(out.moved.regions, LEFT[order])


def test_lower_cells_under_a_clear_name_make_boundaries():
    lines = np.array([[i, j] for i, j in GRID.facets.T if np.allclose(GRID.p[0, [i, j]], AT)])
    mesh = mesh_with(MaterialIDs=0 * LEFT)
    mesh = meshio.Mesh(
        mesh.points,
        [*mesh.cells, meshio.CellBlock("line", lines)],
        cell_data={"MaterialIDs": [0 * LEFT, np.full(len(lines), 7)]},
    )
    assert list(Source.of(mesh).cells.facets) == ["7"] and shift(mesh)[0] < 1e-15


def test_named_lines_inside_are_interfaces_unless_there_are_to_be_none():
    line = GRID.facets_satisfying(lambda x: np.isclose(x[0], AT))
    mesh = GRID.with_boundaries({"line": line, "left": lambda x: x[0] == 0}).with_subdomains(
        {"steel": np.flatnonzero(LEFT)}
    )
    assert shift(mesh)[0] < 1e-15 and shift(mesh, regions="steel")[0] < 1e-15
    free, report = shift(mesh, regions=None)
    assert free > 0.01 and report.regions == ()
    assert free == shift(GRID, regions=None)[0] == shift(GRID)[0]
    fixed = meshmove.adapt(mesh, monitor=push, effort=0.3, regions=None, boundary={"line": "fixed", "left": "slide"})
    nodes = np.unique(GRID.facets[:, line])
    assert np.array_equal(fixed.mesh.p[:, nodes], GRID.p[:, nodes])
    glide = meshmove.adapt(mesh, monitor=lambda x: push(x[::-1]), effort=0.3, regions=None, boundary={"line": "slide"})
    moved = glide.mesh.p[:, nodes] - GRID.p[:, nodes]
    assert np.abs(moved[0]).max() < 1e-15 and np.abs(moved[1]).max() > 0.01
    with pytest.raises(ValueError, match="'seam'; it has: 'line', 'left'"):
        meshmove.adapt(mesh, monitor=push, regions=None, boundary={"seam": "fixed"})


def test_a_line_with_a_part_outside_lets_go_of_the_part_inside_and_keeps_its_name():
    both = GRID.facets_satisfying(lambda x: np.isclose(x[0], AT) | (x[1] == 0))
    out = meshmove.adapt(GRID.with_boundaries({"both": both}), monitor=push, effort=0.3, regions=None)
    assert np.array_equal(np.sort(out.mesh.boundaries["both"]), np.sort(both))
    assert shift(GRID.with_boundaries({"both": both}), regions=None)[0] > 0.01
    bottom = np.flatnonzero(GRID.p[1] == 0)
    assert np.abs(out.mesh.p[1, bottom]).max() < 1e-15


def test_a_field_is_recovered_across_a_line_that_is_no_interface():
    line = GRID.facets_satisfying(lambda x: np.isclose(x[0], AT))
    field = np.tanh(20 * (GRID.p[0] - 0.45))
    held = GRID.with_boundaries({"line": line})
    plain, let_go, kept = (
        meshmove.adapt(m, field, effort=0.3, regions=regions).mesh.p
        for m, regions in ((GRID, "auto"), (held, None), (held, "auto"))
    )
    assert np.array_equal(plain, let_go) and not np.array_equal(plain, kept)


def test_moving_meshes_let_go_of_lines_at_every_step():
    mesh = GRID.with_boundaries({"line": GRID.facets_satisfying(lambda x: np.isclose(x[0], AT))})
    moving = meshmove.MovingMesh(mesh, monitor=lambda x: push(x), regions=None, effort=0.3)
    for _ in range(2):
        moving.step(None, 1.0)
    on = np.isclose(GRID.p[0], AT)
    assert np.abs(moving.mesh.p[0, on] - AT).max() > 0.01


def test_info_says_what_was_taken_and_what_not(tmp_path):
    mesh = mesh_with(mat=LEFT, cell_ids=np.arange(len(LEFT)))
    rows = describe(Source.of(mesh))
    n = int(LEFT.sum())
    assert ("regions", f"mat: 0 ({len(LEFT) - n} cells), 1 ({n} cells)") in rows
    assert ("no regions", "cell_ids: nearly every cell has its own value") in rows


def test_the_command_line_takes_names_or_none(tmp_path):
    mesh = mesh_with(mat=LEFT)
    mesh.point_data["u"] = np.tanh(20 * (GRID.p[0] - 0.5))
    meshmove.save(mesh, tmp_path / "in.vtu")
    for words, expected in (([], True), (["--regions", "none"], False), (["--regions", "mat"], True)):
        run = CliRunner().invoke(
            app, ["adapt", str(tmp_path / "in.vtu"), "-o", str(tmp_path / "out.vtu"), "--field", "u", *words]
        )
        assert run.exit_code == 0 and ("kept apart by mat" in run.output) == expected
    run = CliRunner().invoke(
        app, ["adapt", str(tmp_path / "in.vtu"), "-o", str(tmp_path / "o.vtu"), "--field", "u", "--regions", "no"]
    )
    assert run.exit_code == 1


def test_names_from_an_iterator_last_as_long_as_the_loop():
    mesh = mesh_with(words=LEFT)
    loop = meshmove.adapt_loop(mesh, lambda m: None, monitor=push, regions=iter(["words"]), effort=0.2, steps=2)
    moving = meshmove.MovingMesh(mesh, monitor=push, regions=(n for n in ["words"]), fixed=iter([40]), effort=0.2)
    for _ in range(2):
        step = moving.step(None, dt=1.0)
    assert loop.report.regions == moving.last.report.regions == ("words",)
    assert np.array_equal(step.mesh.points[40], GRID.p[:, 40]) and step.velocity.any()


def test_a_reference_that_lacks_the_regions_changes_nothing():
    mesh = mesh_with(words=LEFT)
    for regions in ("auto", "words"):
        off, report = shift(mesh, regions=regions, reference=mesh_with())
        assert off < 1e-15 and report.regions == ("words",)


def test_results_remember_their_choice_in_a_pickle():
    choices = (None, "words", ("a", "words"))
    for choice in choices:
        source = Source.of(mesh_with(words=LEFT, a=LEFT), choice)
        again = pickle.loads(pickle.dumps(source))
        assert again.regions == source.regions and again.cells.region_names == source.cells.region_names


WORDS = np.where(LEFT, "steel", "air")


@pytest.mark.parametrize("words", [WORDS, WORDS.astype(object), WORDS.astype(bytes)], ids=["str", "object", "bytes"])
def test_words_tell_regions_apart_too(words):
    for options in ({}, {"regions": "material"}):
        left, report = shift(mesh_with(material=words), **options)
        assert left < 1e-12 and report.regions == ("material",)


def test_words_of_several_blocks_are_numbered_together():
    blocks = [("triangle", GRID.t.T[part]) for part in (LEFT == 1, LEFT == 0)]
    mesh = meshio.Mesh(GRID.p.T.copy(), blocks, cell_data={"material": [WORDS[LEFT == 1], WORDS[LEFT == 0]]})
    assert Source.of(mesh).cells.regions.tolist() == [1] * int(LEFT.sum()) + [0] * int((1 - LEFT).sum())


def test_tensors_with_a_number_a_cell_are_regions_of_pyg():
    data = torch_geometric.data.Data(pos=torch.tensor(GRID.p.T), face=torch.tensor(GRID.t))
    data.y, data.colour = torch.tensor(LEFT), torch.arange(len(LEFT)) % 2
    out = meshmove.adapt(data, monitor=push, effort=0.3)
    assert out.report.regions == ("y",)
    assert np.abs(out.mesh.pos.numpy()[np.isclose(GRID.p[0], AT), 0] - AT).max() < 1e-12


def test_where_there_are_as_many_nodes_as_cells_the_name_says_what_a_tensor_of_pyg_is():
    cells = [[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 1], [1, 4, 5]]
    pos = torch.tensor([[0.0, 0], [1, 0], [0, 1], [-1, 0], [0, -1], [1, -1], [9, 9]])[:5].double()
    data = torch_geometric.data.Data(pos=torch.cat([pos, torch.tensor([[1.0, -1.0]])])[:6], face=torch.tensor(cells).T)
    data.y = torch.tensor([0, 0, 1, 1, 1, 1])  # of the nodes
    assert Source.of(data).cells.regions is None
    square = torch_geometric.data.Data(pos=pos[:4], face=torch.tensor([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]]).T)
    square.y, square.material = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 1, 0])
    assert list(Source.of(square).cells.labels) == ["material"]
