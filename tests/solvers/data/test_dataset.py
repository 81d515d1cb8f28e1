"""Data sets of trajectories: what goes in is what comes out, from every source, and what is wrong is named."""

import contextlib
import subprocess
import sys

import meshio
import numpy as np
import pytest
import skfem
from hypothesis import given, settings
from hypothesis import strategies as st

from meshmove.geometry import FieldError, UnsupportedMeshError
from meshmove.solvers import Trajectories, TrajectoryDataset
from meshmove.solvers.data import DatasetError, cached_dataset

POINTS = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [2, 0.5]])
CELLS = [("quad", np.array([[0, 1, 2, 3]])), ("triangle", np.array([[1, 4, 2]]))]


def group(n=3, frames=4, start=0.0, step=0.5, scale=1.0, **changes):
    rng = np.random.default_rng([n, frames])
    entries = {
        "points": POINTS * scale,
        "cells": dict(CELLS),
        "times": start + step * np.arange(frames),
        "fields": {"u": rng.random((n, frames, 5)), "p": rng.random((n, frames, 5)).astype(np.float32)},
        "attributes": {"viscosity": np.arange(n) + 10.0 * n},
    }
    return Trajectories(**{**entries, **changes})


def mesh_of(scale=1.0, **data):
    return meshio.Mesh(np.column_stack([POINTS * scale, np.zeros(5)]), CELLS, point_data=data)


def write_xdmf(path, values, times, mesh=None):
    mesh = mesh or mesh_of()
    # meshio writes the arrays to the current folder
    with contextlib.chdir(path.parent), meshio.xdmf.TimeSeriesWriter(path.name) as writer:
        writer.write_points_cells(mesh.points, mesh.cells)
        for t, data in zip(times, values, strict=True):
            writer.write_data(t, point_data=data)


def write_pvd(path, meshes, times):
    rows = []
    for k, (mesh, t) in enumerate(zip(meshes, times, strict=True)):
        mesh.write(path.with_name(f"{path.stem}_{k}.vtu"))
        rows.append(f'<DataSet timestep="{t!r}" part="0" file="{path.stem}_{k}.vtu"/>')
    text = "\n".join(rows)
    path.write_text(f'<VTKFile type="Collection" version="0.1"><Collection>{text}</Collection></VTKFile>')


def frames(n=3, **changes):
    rng = np.random.default_rng(n)
    return [{"u": rng.random(5), "w": rng.random((5, 3)) * [1, 1, 0], "id": np.arange(5)} | changes for _ in range(n)]


def assert_same(a, b):
    assert list(a.fields) == list(b.fields) and list(a.attributes) == list(b.attributes)
    np.testing.assert_array_equal(a.points, b.points)
    for name in a.fields:
        np.testing.assert_array_equal(a.fields[name], b.fields[name])
    for name in a.attributes:
        np.testing.assert_array_equal(a.attributes[name], b.attributes[name])


def test_a_sequence_of_single_trajectories():
    first, second = group(3), group(2, frames=6, start=7.0, scale=2.0)
    data = TrajectoryDataset((first, second))
    assert len(data) == 5 and data.dim == 2 and data.step == 0.5
    assert data.fields == ("u", "p") and data.attributes == ("viscosity",)
    for i, one in enumerate(data):
        assert len(one) == 1
        assert_same(one, data[i])
        assert_same(one, data[i - 5])
    assert_same(data[3], second[:1])
    assert np.shares_memory(data[1].fields["u"], first.fields["u"])
    part = data[1:4]
    assert [len(g) for g in part.groups] == [2, 1]
    assert_same(part[2], data[3])
    assert_same(data[[4, 0]][0], data[4])
    assert_same(data[::-1][0], data[4])
    with pytest.raises(IndexError):
        data[5]
    assert "5 trajectories on 2 meshes of 5 nodes, 2-D; 4 to 6 frames, 0.5 apart; fields: u, p" in repr(data)


@settings(max_examples=30)
@given(st.integers(2, 9), st.integers(1, 9), st.floats(0.05, 0.95), st.integers(0, 99))
def test_a_split_is_a_partition(n, m, share, seed):
    data = TrajectoryDataset((group(n), group(m, scale=2.0)))
    train, test = data.split(share, seed)
    assert len(train) + len(test) == n + m and abs(len(train) - share * (n + m)) <= 1
    values = [float(one.fields["u"].sum()) for part in (train, test) for one in part]
    np.testing.assert_allclose(sorted(values), sorted(float(one.fields["u"].sum()) for one in data))
    again, _ = data.split(share, seed)
    assert_same(again[0], train[0])


@settings(max_examples=20)
@given(st.integers(1, 5), st.floats(-1e3, 1e3), st.floats(1e-2, 1e2))
def test_scales_are_those_of_all_values(n, shift, factor):
    parts = [group(n), group(2, frames=7, scale=2.0)]
    parts = [p.with_fields({"u": p.fields["u"] * factor + shift}) for p in parts]
    everything = np.concatenate([p.fields["u"].ravel() for p in parts])
    mean, deviation = TrajectoryDataset(tuple(parts)).scales()["u"]
    np.testing.assert_allclose([mean, deviation], [everything.mean(), everything.std()], rtol=1e-9, atol=1e-9)


def test_files_of_our_own_and_what_merges(tmp_path):
    parts = [group(2), group(3), group(1, scale=2.0)]
    for name, part in zip(("run2", "run10", "run11"), parts, strict=True):
        part.save(tmp_path / f"{name}.npz")
    data = TrajectoryDataset.from_files(tmp_path)
    assert [len(g) for g in data.groups] == [5, 1]
    assert_same(data.groups[0][2:], parts[1])
    for paths in (str(tmp_path / "run*.npz"), [tmp_path / "run2.npz", tmp_path / "run1*.npz"]):
        assert_same(TrajectoryDataset.from_files(paths).groups[0], data.groups[0])
    assert TrajectoryDataset.from_files(tmp_path, fields=["p"]).fields == ("p",)
    more = TrajectoryDataset.from_files(tmp_path, attributes={"re": np.arange(6)})
    assert more.attributes == ("viscosity", "re") and more[5].attributes["re"] == [5]
    with pytest.raises(DatasetError, match=r"6 values of attribute 're' \(got shape \(5,\)\)"):
        TrajectoryDataset.from_files(tmp_path, attributes={"re": np.arange(5)})


def test_saving_and_reading_a_folder_is_bit_equal(tmp_path):
    data = TrajectoryDataset((group(2), group(1, scale=2.0)))
    calls = []
    for _ in range(2):
        again = cached_dataset(tmp_path / "data", lambda: calls.append(0) or data)
        assert len(again.groups) == 2
        for a, b in zip(data.groups, again.groups, strict=True):
            assert_same(a, b)
    assert len(calls) == 1
    data[:1].save(tmp_path / "data")
    assert len(TrajectoryDataset.from_files(tmp_path / "data")) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["data"]
    (tmp_path / "data" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="holds other files"):
        data.save(tmp_path / "data")


@pytest.mark.parametrize("kind", ["xdmf", "pvd"])
def test_time_series_of_other_programs(tmp_path, kind):
    series, times = [frames(3), frames(4)[1:]], [0.0, 0.1, 0.2]
    for i, values in enumerate(series):
        path = tmp_path / f"run{i}.{kind}"
        if kind == "xdmf":
            write_xdmf(path, values, times)
        else:
            write_pvd(path, [mesh_of(**v) for v in values], times)
    data = TrajectoryDataset.from_files(tmp_path / f"*.{kind}")
    assert len(data) == 2 and len(data.groups) == 1 and data.dim == 2
    assert data.fields == ("u", "w_x", "w_y")  # no ids, nor the third component of a vector in the plane
    for i, values in enumerate(series):
        np.testing.assert_array_equal(data[i].fields["u"][0], [v["u"] for v in values])
        np.testing.assert_array_equal(data[i].fields["w_y"][0], [v["w"][:, 1] for v in values])
    np.testing.assert_allclose(data[0].times, times)
    assert {k: v.tolist() for k, v in data[0].cells.items()} == {k: v.tolist() for k, v in CELLS}
    assert TrajectoryDataset.from_files(tmp_path / f"*.{kind}", fields=["w"]).fields == ("w_x", "w_y")
    with pytest.raises(FieldError, match=rf"the field 'q' \(got u, w_x, w_y, w_z in frame 0 .*run0.{kind}'"):
        TrajectoryDataset.from_files(tmp_path / f"*.{kind}", fields=["q"])


@pytest.mark.parametrize("kind", ["xdmf", "pvd"])
def test_a_bad_frame_is_named_with_its_file(tmp_path, kind):
    path = tmp_path / f"bad.{kind}"

    def fails(values, times, error, match, meshes=None):
        if kind == "xdmf":
            write_xdmf(path, values, times)
        else:
            write_pvd(path, meshes or [mesh_of(**v) for v in values], times)
        with pytest.raises(error, match=match):
            TrajectoryDataset.from_files(path)

    values = frames(3)
    values[2]["u"] = np.array([0, np.nan, 0, 0, 0])
    where = r"'.*bad.xdmf'" if kind == "xdmf" else r"\('bad_2.vtu'\) of '.*bad.pvd'"
    fails(values, [0, 1, 2], FieldError, rf"'u' at 1 nodes of frame 2 (of )?{where}")
    values = frames(3)
    del values[1]["w"]
    fails(values, [0, 1, 2], FieldError, r"got no w_x, w_y, w_z in frame 1 .*bad")
    fails(frames(3, q=np.ones(5))[:1] + frames(2), [0, 1, 2], FieldError, r"got no q in frame 1 .*bad")
    fails(frames(4), [0, 0.1, 0.2, 0.4], DatasetError, r"got 0.2 before frame 3, elsewhere 0.1, in '.*bad")
    fails(frames(3), [0.0, 0.2, 0.1], DatasetError, r"increasing times \(got 0.1 in frame 2 after 0.2, of '.*bad")
    fails(frames(1), [0.0], DatasetError, r"at least two frames \(got 1 in '.*bad")
    fails([], [], DatasetError, r"at least two frames|temporal collection.*bad")
    fails([{"id": np.arange(5)}] * 2, [0, 1], FieldError, r"at least one nodal field .* frame 0 .*bad")
    if kind == "pvd":
        meshes = [mesh_of(u=np.ones(5)), mesh_of(1.1, u=np.ones(5))]
        fails(None, [0, 1], DatasetError, r"one mesh in all frames .*frame 1 \('bad_1.vtu'\) of '.*bad.pvd'", meshes)


def test_an_xdmf_mesh_that_changes_is_named(tmp_path):
    def grid(x, t):
        return f"""<Grid GridType="Uniform"><Time Value="{t}"/>
          <Geometry GeometryType="XY"><DataItem Format="XML" Dimensions="3 2" Precision="8">0 0 {x} 0 0 1</DataItem>
          </Geometry><Topology TopologyType="Triangle" NumberOfElements="1">
          <DataItem Format="XML" DataType="Int" Dimensions="1 3" Precision="8">0 1 2</DataItem></Topology>
          <Attribute Name="u" Center="Node"><DataItem Format="XML" Dimensions="3" Precision="8">1 2 3</DataItem>
          </Attribute></Grid>"""

    def write(*widths):
        grids = "".join(grid(x, t) for t, x in enumerate(widths))
        collection = f'<Grid GridType="Collection" CollectionType="Temporal">{grids}</Grid>'
        (tmp_path / "a.xdmf").write_text(f'<Xdmf Version="3.0"><Domain>{collection}</Domain></Xdmf>')
        return tmp_path / "a.xdmf"

    assert len(TrajectoryDataset.from_files(write(1, 1, 1))) == 1
    with pytest.raises(DatasetError, match=r"one mesh in all frames .*frame 2 of '.*a.xdmf'"):
        TrajectoryDataset.from_files(write(1, 1, 2))


def test_files_that_do_not_agree_or_are_none(tmp_path):
    a = group().save(tmp_path / "a.npz")

    def fails(other, match):
        b = other.save(tmp_path / "b.npz")
        with pytest.raises(DatasetError, match=match):
            TrajectoryDataset.from_files([a, b])
        with pytest.raises(DatasetError, match="in group 1"):
            TrajectoryDataset((group(), other))

    fails(group(step=0.25), r"a time step of 0.25 instead of 0.5 in '.*b.npz', unlike '.*a.npz'")
    fails(group(attributes={}), r"attributes \[\] instead of \['viscosity'\] in '.*b.npz'")
    fails(group().with_fields({"u": group().fields["u"]}), r"fields \['u'\] instead of \['p', 'u'\]")
    space = group(points=np.column_stack([POINTS, np.ones(5)]), cells={"tetra": [[0, 1, 2, 4]]})
    fails(space, "3-D points instead of 2-D ones")
    broken = {k: v for k, v in np.load(a).items()}
    broken["fields/u"][1, 2, 3] = np.nan
    np.savez(tmp_path / "c.npz", **broken)
    with pytest.raises(FieldError, match=r"'u', trajectory 1, frame 2, .*in '.*c.npz'"):
        TrajectoryDataset.from_files(tmp_path / "c.npz")
    for paths in (tmp_path / "none.npz", str(tmp_path / "*.pvd"), [tmp_path / "no"]):
        with pytest.raises(DatasetError, match="no such file"):
            TrajectoryDataset.from_files(paths)
    with pytest.raises(DatasetError, match="empty data set"):
        TrajectoryDataset.from_files([])
    (tmp_path / "x.csv").write_text("1")
    with pytest.raises(DatasetError, match=r"one of the kinds .npz, .xdmf, .xmf, .pvd \(got '.*x.csv'\)"):
        TrajectoryDataset.from_files(tmp_path / "x.csv")
    for name in ("x.xdmf", "x.pvd"):
        (tmp_path / name).write_text("<Xdmf")
        with pytest.raises(DatasetError, match=f"{name}'"):
            TrajectoryDataset.from_files(tmp_path / name)
    write_pvd(tmp_path / "lost.pvd", [mesh_of(u=np.ones(5))] * 2, [0, 1])
    (tmp_path / "lost_1.vtu").unlink()
    with pytest.raises(DatasetError, match="lost_1.vtu', which does not exist.*lost.pvd"):
        TrajectoryDataset.from_files(tmp_path / "lost.pvd")
    write_pvd(tmp_path / "twice.pvd", [mesh_of(u=np.ones(5))] * 2, [0, 0])
    with pytest.raises(DatasetError, match="several parts.*twice.pvd.*merge"):
        TrajectoryDataset.from_files(tmp_path / "twice.pvd")


def test_empty_and_short_data_are_named():
    for groups in ((), (group()[:0],)):
        with pytest.raises(DatasetError, match="empty data set"):
            TrajectoryDataset(groups)
    data = TrajectoryDataset((group(1),))
    with pytest.raises(DatasetError, match="empty data set"):
        data[1:]
    with pytest.raises(DatasetError, match="at least two trajectories .* 1 and 0.5"):
        data.split(0.5)
    with pytest.raises(DatasetError, match=r"at least two frames \(got 1 in group 0"):
        TrajectoryDataset((group(frames=1),))
    with pytest.raises(DatasetError, match="equal distances"):
        TrajectoryDataset((group(times=[0, 1, 2, 2.5]),))


def test_from_arrays_takes_any_mesh_and_keeps_vertices_of_second_order_ones():
    linear = skfem.MeshTri().refined(1).with_defaults()
    values = np.random.default_rng(0).random((2, 3, 9))
    data = TrajectoryDataset.from_arrays(linear, [0, 1, 2], {"u": values}, {"re": [1, 2]})
    np.testing.assert_array_equal(data.groups[0].fields["u"], values)
    assert set(data.groups[0].boundaries) == {"left", "right", "top", "bottom"} and data.attributes == ("re",)

    second = skfem.MeshTri2.from_mesh(linear)
    x = np.asarray(second.doflocs)
    field = np.broadcast_to(x[0] + 10 * x[1], (2, 3, x.shape[1]))
    corner = [int(np.argmin(np.hypot(*(x - np.array(c)[:, None])))) for c in ((0.0, 0.0), (0.5, 0.0))]
    data = TrajectoryDataset.from_arrays(second, [0, 1, 2], {"u": field}, boundaries={"foot": [corner]})
    one = data[1]
    assert one.points.shape == (9, 2)
    np.testing.assert_allclose(one.fields["u"][0, 2], one.points @ [1, 10])
    np.testing.assert_allclose(one.points[one.boundaries["foot"][0]], [[0, 0], [0.5, 0]])
    middle = [int(np.argmin(np.hypot(*(x - np.array([[0.25], [0.0]])))))]
    with pytest.raises(DatasetError, match="node ids below 9 in 'foot'"):
        TrajectoryDataset.from_arrays(second, [0, 1, 2], {"u": field}, boundaries={"foot": [[*corner[:1], *middle]]})
    assert_same(TrajectoryDataset.from_arrays(one.mesh, [0, 1, 2], one.fields)[0], one)

    with pytest.raises(DatasetError, match=r"9 nodes \(got 'u': \(3, 9\)\)"):
        TrajectoryDataset.from_arrays(linear, [0, 1, 2], {"u": values[0]})
    with pytest.raises(FieldError, match="'u', trajectory 0, frame 1"):
        TrajectoryDataset.from_arrays(
            linear, [0, 1], {"u": np.where(np.arange(2)[:, None] == 1, np.nan, np.ones((1, 2, 9)))}
        )
    with pytest.raises(UnsupportedMeshError):
        TrajectoryDataset.from_arrays(object(), [0, 1], {"u": values})


def test_from_meshes_takes_pyvista_frames():
    pyvista = pytest.importorskip("pyvista")
    meshes = []
    for k in range(3):
        grid = pyvista.from_meshio(mesh_of())
        grid.point_data["u"] = np.full(5, float(k))
        meshes.append(grid)
    data = TrajectoryDataset.from_meshes(meshes, [0.0, 0.5, 1.0])
    assert data.dim == 2 and len(data) == 1
    np.testing.assert_array_equal(data[0].fields["u"][0, :, 0], [0, 1, 2])


def test_a_mesh_with_padded_facets_passes():
    facets = {"wall": [[0, 1, 2, -1], [0, 1, 2, 3]]}
    assert len(group(boundaries=facets)) == 3
    with pytest.raises(DatasetError, match="rows 0"):
        group(boundaries={"wall": [[0, 1, -2]]})


def test_data_need_no_torch():
    code = "import sys, meshmove.solvers.data, meshmove.solvers.generators.advection;" \
        "import meshmove.solvers.generators.wake, meshmove.solvers.generators.gray_scott;" \
        "import meshmove.solvers.generators.burgers;" \
        "sys.exit('torch' in sys.modules or 'pyvista' in sys.modules)"  # fmt: skip
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_attributes_can_be_left_out():
    from meshmove.solvers.generators.burgers import burgers_trajectories

    data = TrajectoryDataset((burgers_trajectories(2, cells=6, stride=1, frames=3),))
    assert data.attributes == ("viscosity",) and data.without("viscosity").attributes == ()
    assert data.without().attributes == data.attributes
    with pytest.raises(DatasetError, match=r"among \['viscosity'\] \(got \['reynolds'\]\)"):
        data.without("reynolds")
