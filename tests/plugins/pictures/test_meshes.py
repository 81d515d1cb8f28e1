"""Pictures of a move: what they show, in which part, under which titles, and that all of it is on the sheet."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest
import skfem

import meshmove
from meshmove.geometry import CellMesh, FieldError, InvalidMeshError

pyvista = pytest.importorskip("pyvista")

from meshmove.plugins.figures.kinds import KINDS, shown, title_of  # noqa: E402
from meshmove.plugins.figures.view import has_egl  # noqa: E402
from meshmove.plugins.pictures.meshes import plot  # noqa: E402

MAGIC = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF", ".jpg": b"\xff\xd8\xff"}


def front(x):
    return np.tanh(10 * (x[0] - 0.4))


@pytest.fixture(scope="module")
def looped():
    mesh = skfem.MeshTri().refined(3)
    return mesh, meshmove.adapt_loop(mesh, lambda m: front(m.p), steps=2, effort=0.3)


@pytest.fixture(scope="module")
def tets():
    mesh = skfem.MeshTet.init_tensor(*[np.linspace(0, 1, 5)] * 3)
    return meshmove.adapt(mesh, front(mesh.p), effort=0.3)


def texts(figure):
    """All that is written on a figure."""
    from matplotlib.text import Text

    return [t for t in figure.findobj(Text) if t.get_text() and t.get_visible()]


def on_the_sheet(figure):
    """Whether nothing that is drawn stands beyond the edge of the figure."""
    box, size = figure.get_tightbbox(figure.canvas.get_renderer()), figure.get_size_inches()
    return box.x0 >= 0 and box.y0 >= 0 and box.x1 <= size[0] and box.y1 <= size[1]


def panels(figure):
    return [axes for axes in figure.axes if axes.get_label().startswith("panel")]


# -- what is shown -----------------------------------------------------------------------------------------------------


def test_the_field_moved_to_is_shown_as_it_was_and_as_it_is(looped):
    mesh, loop = looped
    out = meshmove.adapt(mesh, front(mesh.p), effort=0.3)
    what = shown(out, None)
    assert what.label == "field" and np.array_equal(what.values[0], front(mesh.p))
    assert np.array_equal(what.values[1], out.fields["field"])
    first = shown(loop.adaptation, "field", before=mesh)
    assert np.array_equal(first.meshes[0].points.T, mesh.p)
    assert np.abs(first.values[0] - front(mesh.p)).max() < 0.6  # as far as the moved cells know it


def test_a_field_of_elements_is_shown_where_the_vertices_are():
    mesh = skfem.MeshTri().refined(3)
    basis = skfem.Basis(mesh, skfem.ElementVector(skfem.ElementTriP1()))
    u = np.zeros(basis.N)
    u[basis.nodal_dofs[0]], u[basis.nodal_dofs[1]] = 0.6 * front(mesh.p), 0.8 * front(mesh.p)
    out = meshmove.adapt(mesh, (basis, u), effort=0.3)
    before, after = shown(out, None).values
    assert np.allclose(before, np.abs(front(mesh.p)), atol=1e-14)
    stays = ~out.displacement.any(axis=1)
    assert np.array_equal(after[stays], before[stays]) and not np.allclose(after, before)


def test_the_named_field_comes_before_others_and_the_monitor_last():
    grid = pyvista.Plane(i_resolution=6, j_resolution=5).triangulate()
    grid["a"], grid["u"] = grid.points[:, 1] * 1.0, np.tanh(9 * grid.points[:, 0])
    out = meshmove.adapt(grid, "u", effort=0.2)
    assert shown(out, None).label == "u" and shown(out, None, "a").label == "a"
    assert np.array_equal(shown(out, None, "monitor").values[0], out.monitor)
    by_monitor = meshmove.adapt(grid, monitor=lambda x: 1 + x[0] ** 2, effort=0.2)
    assert shown(by_monitor, None).label == "monitor" and shown(by_monitor, None, "u").label == "u"
    with pytest.raises(FieldError, match=r"among u, a, monitor \(got 'p'\)|among u, .* \(got 'p'\)"):
        shown(out, None, "p")
    with pytest.raises(FieldError, match="moved for a monitor"):
        shown(by_monitor, "error")


def test_errors_of_cells_make_up_the_error_of_interpolation(looped):
    from meshmove.monitors import Recovery, interpolation_error

    mesh = looped[0]
    out = meshmove.adapt(mesh, front(mesh.p), effort=0.3)
    before, after = shown(out, "error").values
    total = interpolation_error(out.cells, Recovery(out.cells).hessian(front(mesh.p)))[0]
    assert np.linalg.norm(before) == pytest.approx(total, rel=1e-12)
    assert len(after) == mesh.nelements and np.linalg.norm(after) < 0.7 * total
    basis = skfem.Basis(mesh, skfem.ElementTriP2())
    quadratic = meshmove.adapt(mesh, (basis, basis.project(front)), effort=0.2)
    with pytest.raises(FieldError, match="Expected a field of linear elements"):
        shown(quadratic, "error")


def test_quality_and_displacement_are_those_of_the_cells_and_nodes(tets):
    from meshmove.geometry.quality import scaled_jacobian

    assert np.array_equal(shown(tets, "quality").values[1], scaled_jacobian(tets.moved))
    lengths = shown(tets, "displacement").values
    assert lengths[0].max() == pytest.approx(tets.report.max_displacement)
    assert shown(tets, "mesh").values is None


def test_another_kind_is_refused_with_what_was_meant(looped):
    with pytest.raises(ValueError, match="did you mean 'quality'"):
        looped[1].plot("qualty", filename="never.png")
    with pytest.raises(ValueError, match="did you mean 'headings'"):
        looped[1].plot(heading="a")
    with pytest.raises(ValueError, match=r"Expected a .png, .svg, .pdf or .jpg file \(got 'never.bmp'\)"):
        looped[1].plot(filename="never.bmp")


def test_titles_tell_what_was_gained_over_all_rounds(looped):
    report = looped[1].report
    first = dataclasses.replace(report, predicted_error_before=3.0, predicted_error_after=2.0)
    last = dataclasses.replace(report, predicted_error_before=2.0, predicted_error_after=1.0)
    assert title_of(first, last) == "predicted error 3.0 times less, 0 cells invalid"
    worse = dataclasses.replace(last, predicted_error_after=4.5)
    assert title_of(first, worse) == "predicted error 1.5 times more, 0 cells invalid"
    same = dataclasses.replace(report, predicted_error_before=1.0, predicted_error_after=1.0)
    assert title_of(same, same) == "predicted error unchanged, 0 cells invalid"
    plain = dataclasses.replace(report, predicted_error_before=None, imbalance_before=0.52, imbalance_after=0.11)
    assert title_of(plain, plain) == "imbalance 0.52 → 0.11, 0 cells invalid"
    energy = dataclasses.replace(plain, energy_before=-1.0, energy_after=-1.25)
    assert title_of(energy, energy) == "energy -1 → -1.25, 0 cells invalid"


# -- how it is drawn ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_drawn_with_all_its_words_on_the_sheet(kind, looped, tmp_path):
    figure = looped[1].plot(kind, filename=tmp_path / "a.png")
    assert [axes.get_title() for axes in panels(figure)] == ["before", "after"]
    title = title_of(looped[1].history[0], looped[1].history[-1])
    assert title in [t.get_text() for t in texts(figure)] and on_the_sheet(figure)
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_long_words_are_made_small_or_broken_and_not_cut(looped, tmp_path):
    long = "the temperature of the outer wall after seven hours of operation at full load, in kelvin above that outside"
    figure = looped[1].plot(label=long, title=3 * long, headings=(long, "now"), filename=tmp_path / "a.png")
    assert on_the_sheet(figure)
    assert panels(figure)[0].get_title().replace("\n", " ") == long


@pytest.mark.parametrize("suffix", MAGIC)
def test_files_are_what_their_suffix_says(suffix, looped, tmp_path):
    looped[1].plot("mesh", filename=tmp_path / f"a{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes().startswith(MAGIC[suffix])
    assert [p.name for p in tmp_path.iterdir()] == [f"a{suffix}"]


def test_lines_and_words_of_an_svg_are_no_pixels(looped, tmp_path):
    looped[1].plot("field", filename=tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text()
    assert text.count("<image") == 3 and text.count("<path") > 2 * looped[0].nelements


def test_edges_fade_where_cells_are_small_in_the_picture():
    """Cells of 100, 10 and 1 pixels: in full, paler, not at all; never all of them where the mesh is all there is."""
    from meshmove.plugins.figures.plane import outline
    from meshmove.plugins.figures.sheet import Sheet

    lengths = np.cumsum([0, 100, 10, 1])
    points = np.stack([np.repeat(lengths, 2), np.tile([0, 1], 4) * np.repeat([100, 10, 1, 1], 2)], axis=1)
    quads = [[0, 2, 3, 1], [2, 4, 5, 3], [4, 6, 7, 5]]
    mesh = CellMesh.single(points, quads, "quad")
    for alone, least in ((False, 0.0), (True, 0.2)):
        axes = panels(Sheet((0, 111, 0, 100), ["one"]).figure)[0]
        outline(axes, mesh, 1.0, alone)
        opacity = axes.collections[0].get_colors()[:, 3]
        assert opacity.max() > 0.5 and opacity.min() >= least
        assert len(opacity) == (10 if alone else 6)  # those beside the last cell are left out


def test_a_part_is_shown_larger_and_in_its_own_colours(looped, tmp_path):
    zoom = (0.0, 0.1, 0.4, 0.45)
    figure = looped[1].plot(zoom=zoom, filename=tmp_path / "a.png")
    assert [(*a.get_xlim(), *a.get_ylim()) for a in panels(figure)] == [zoom, zoom]
    bar = next(axes for axes in figure.axes if axes not in panels(figure))
    assert bar.get_xlim()[1] < 0  # the field is negative there
    width, height = figure.get_size_inches()
    place = panels(figure)[0].get_position()
    assert place.width * width / (place.height * height) == pytest.approx(2)


def test_a_plane_in_space_is_drawn_upright_in_its_plane(tmp_path):
    grid = pyvista.Plane(i_size=3, j_size=1, i_resolution=12, j_resolution=4).rotate_x(40).rotate_y(25).rotate_z(70)
    grid["u"] = grid.points[:, 0] ** 3
    figure = meshmove.adapt(grid, "u", effort=0.2).plot("mesh", filename=tmp_path / "a.png")
    (x0, x1), (y0, y1) = panels(figure)[0].get_xlim(), panels(figure)[0].get_ylim()
    assert (x1 - x0, y1 - y0) == pytest.approx((3, 1), rel=0.03)
    assert not panels(figure)[0].get_xticks().size  # coordinates in the plane mean nothing


def test_a_moved_mesh_is_drawn_beside_the_one_it_was(tmp_path):
    grid = pyvista.ImageData(dimensions=(6, 5, 4)).cast_to_structured_grid().cast_to_unstructured_grid()
    grid["u"] = np.asarray(grid.points[:, 0], float)
    moved = grid.copy()
    moved.points[:, 0] **= 1.1
    figure = plot(moved, "u", before=grid, headings=("then", "now"), filename=tmp_path / "a.png")
    assert [axes.get_title() for axes in panels(figure)] == ["then", "now"]
    with pytest.raises(InvalidMeshError, match="a moved mesh and `before`"):
        plot(moved, filename="never.png")


def test_another_mesh_is_refused(looped):
    with pytest.raises(InvalidMeshError, match=r"Expected `before` to have the cells .* first mesh of the loop"):
        plot(looped[1], before=skfem.MeshTri().refined(2), filename="never.png")


@pytest.mark.parametrize(
    "mesh", [skfem.MeshTri2().refined(2), skfem.MeshQuad.init_tensor(np.linspace(0, 3, 10), np.linspace(0, 1, 4))]
)
def test_all_of_the_domain_is_coloured(mesh, tmp_path):
    """Yellow to purple over the whole of both panels: no pixel of them is left white."""
    out = meshmove.adapt(mesh, lambda x: np.tanh(9 * (x[0] - 0.5)), effort=0.2)
    figure = out.plot("field", edges=False, filename=tmp_path / "a.png")
    pixels = picture(tmp_path / "a.png")
    for axes in panels(figure):
        box = axes.get_position()
        rows = slice(*(int(len(pixels) * (1 - s)) for s in (box.y1 - 0.03 * box.height, box.y0 + 0.03 * box.height)))
        columns = slice(*(int(pixels.shape[1] * s) for s in (box.x0 + 0.03 * box.width, box.x1 - 0.03 * box.width)))
        assert np.ptp(pixels[rows, columns], axis=2).min() > 15


def test_volumes_are_cut_open_at_one_plane_and_all_that_is_left_is_seen(tets, tmp_path):
    from meshmove.plugins.figures.inside import Inside
    from meshmove.plugins.figures.skin import Skin
    from meshmove.plugins.figures.view import plane_of

    plane = plane_of(tets.cells)
    skin, moved = Skin(tets.cells, plane), Skin(tets.moved, plane)
    skin = Skin(tets.cells, plane_of(tets.cells))
    skin.wear(tets.cells.points, None, np.zeros(3), 1.0)
    assert skin.faces.points[:, 1].min() == 0.5  # y is cut, as all extents are the same
    assert skin.faces.area == pytest.approx(4)
    moved.wear(tets.moved.points, None, np.zeros(3), 1.0)
    assert moved.faces.n_open_edges == 0 and moved.faces.points[:, 1].min() < 0.5  # of cells that reach across
    box = Inside([tets.cells, tets.moved], clip=True).box
    whole = Inside([tets.cells, tets.moved], clip=False).box
    assert box[1] - box[0] < whole[1] - whole[0]
    tets.plot("error", filename=tmp_path / "a.png")
    assert (np.ptp(picture(tmp_path / "a.png"), axis=2) > 20).mean() > 0.2


def picture(path):
    from PIL import Image

    return np.asarray(Image.open(path).convert("RGB"), float)


@pytest.mark.skipif(sys.platform != "linux" or not has_egl(), reason="no EGL here")
def test_without_a_display_nothing_is_said_on_the_terminal(tmp_path):
    code = (
        "import pyvista, meshmove; g = pyvista.ImageData(dimensions=(4, 4, 4)); g['u'] = g.points[:, 0] ** 2;"
        "meshmove.adapt(g, 'u', effort=0.1).plot(filename='a.png')"
    )
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "VTK_DEFAULT_OPENGL_WINDOW")
    there = {k: v for k, v in os.environ.items() if k not in hidden}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=there)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "") and (tmp_path / "a.png").is_file()
