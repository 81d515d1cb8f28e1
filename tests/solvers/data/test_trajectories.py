"""The file of trajectories: what goes in comes out, and what is wrong is named."""

import numpy as np
import pytest

from meshmove.geometry import FieldError
from meshmove.progress import progress_of
from meshmove.solvers.data.trajectories import DatasetError, Trajectories, cached
from tests.shapes import box


def example(n=3, **changes):
    rng = np.random.default_rng(0)
    entries = {
        "points": [[0, 0], [1, 0], [1, 1], [0, 1], [2, 0.5]],
        "cells": {"quad": [[0, 1, 2, 3]], "triangle": [[1, 4, 2]]},
        "times": [0.0, 0.5, 2.0],
        "fields": {"u": rng.random((n, 3, 5)), "p": rng.random((n, 3, 5)).astype(np.float32)},
        "boundaries": {"inlet": [[3, 0]], "tip": [[1, 4], [4, 2]]},
        "attributes": {"viscosity": np.arange(n)},
        "about": {"seed": 7, "equation": "none"},
    }
    return Trajectories(**{**entries, **changes})


def test_saving_and_loading_is_bit_equal(tmp_path):
    data = example()
    path = data.save(tmp_path / "new" / "data.npz")
    again = Trajectories.load(path)
    assert [p.name for p in path.parent.iterdir()] == ["data.npz"]
    for group in ("cells", "fields", "boundaries", "attributes"):
        before, after = getattr(data, group), getattr(again, group)
        assert list(before) == list(after)
        for name in before:
            np.testing.assert_array_equal(before[name], after[name])
            assert before[name].dtype == after[name].dtype
    np.testing.assert_array_equal(again.points, data.points)
    np.testing.assert_array_equal(again.times, data.times)
    assert again.about == data.about


def test_the_layout_is_what_the_documentation_says(tmp_path):
    with np.load(example().save(tmp_path / "data.npz"), allow_pickle=False) as file:
        assert set(file.files) == {
            "points", "times", "cells/quad", "cells/triangle", "fields/u", "fields/p", "boundaries/inlet",
            "boundaries/tip", "attributes/viscosity", "about",
        }  # fmt: skip


def test_a_file_from_elsewhere_needs_points_times_and_fields_only(tmp_path):
    np.savez(tmp_path / "mine.npz", **{"points": np.eye(2), "times": [0, 1], "fields/u": np.ones((4, 2, 2), int)})
    data = Trajectories.load(tmp_path / "mine.npz")
    assert len(data) == 4 and data.fields["u"].dtype == float


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = example().save(tmp_path / "data.npz")
    before = path.read_bytes()

    def fails(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", fails)
    with pytest.raises(OSError, match="disk full"):
        example(4).save(path)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_the_mesh_has_its_blocks_and_boundaries():
    mesh = example().mesh
    assert repr(mesh) == "CellMesh(2-D: 5 points, 1 quad, 1 triangle)"
    assert set(mesh.facets) == {"inlet", "tip"}


def test_slices_ids_and_masks_choose_trajectories():
    data = example()
    for which in (slice(1, 3), np.array([1, 2]), np.array([False, True, True])):
        part = data[which]
        assert len(part) == 2 and part.attributes["viscosity"].tolist() == [1, 2]
        np.testing.assert_array_equal(part.fields["p"], data.fields["p"][1:])


def test_cached_makes_once(tmp_path):
    calls = []

    def make():
        calls.append(1)
        return example()

    first, second = (cached(tmp_path / "a.npz", make) for _ in range(2))
    assert len(calls) == 1
    np.testing.assert_array_equal(first.fields["u"], second.fields["u"])


def test_progress_passes_the_items_on(capsys):
    assert list(progress_of(range(3), "work", True)) == list(progress_of(range(3), "work", False)) == [0, 1, 2]
    assert capsys.readouterr().out == ""


def test_bad_data_are_named(tmp_path):
    values = np.ones((3, 3, 5))
    values[1, 2, 4] = np.nan
    with pytest.raises(FieldError, match=r"'u', trajectory 1, frame 2, and 1 frames in all"):
        example(fields={"u": values})
    with pytest.raises(DatasetError, match=r"\(3, 3, 5\) \(got 'p': \(3, 2, 5\)\)"):
        example(fields={"u": np.ones((3, 3, 5)), "p": np.ones((3, 2, 5))})
    with pytest.raises(DatasetError, match=r"at least one field"):
        example(fields={})
    with pytest.raises(DatasetError, match="increasing times"):
        example(times=[0, 2, 1])
    with pytest.raises(DatasetError, match=r"node ids below 5 in 'triangle' \(got others at rows 0\)"):
        example(cells={"triangle": [[0, 1, 5]]})
    with pytest.raises(DatasetError, match=r"3 values of attribute 're' \(got shape \(2,\)\)"):
        example(attributes={"re": [1, 2]})
    path = example().save(tmp_path / "data.npz")
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(DatasetError, match="Expected a whole npz file"):
        Trajectories.load(path)
    path.write_text("not an npz file")
    with pytest.raises(DatasetError, match="Expected a whole npz file"):
        Trajectories.load(path)
    np.savez(tmp_path / "other.npz", x=1)
    with pytest.raises(DatasetError, match=r"missing in .*\['points', 'times'\]"):
        Trajectories.load(tmp_path / "other.npz")
    np.savez(tmp_path / "new.npz", points=np.eye(2), times=[0], about='{"layout": 2}')
    with pytest.raises(DatasetError, match="layout 1 \\(got 2"):
        Trajectories.load(tmp_path / "new.npz")
    with pytest.raises(FileNotFoundError):
        Trajectories.load(tmp_path / "none.npz")


@pytest.mark.parametrize("kind", ["triangle", "quad", "tetra"])
def test_on_a_coarser_mesh_nothing_between_its_nodes_is_forgotten(kind):
    fine, coarse = box(kind, 6, 0.1), box(kind, 2)
    linear = fine.points @ np.arange(1, fine.dim + 1) + 1
    rng = np.random.default_rng(0)
    fields = {"a": np.stack([[linear, 2 * linear], [0 * linear, -linear]]), "b": rng.normal(size=(2, 2, fine.n_points))}
    data = Trajectories(fine.points, {kind: fine.blocks[0].nodes}, [0.0, 1.0], fields, {}, {"nu": np.array([1.0, 2.0])})
    on = data.on(coarse)
    expected = coarse.points @ np.arange(1, fine.dim + 1) + 1
    if kind != "quad":  # on the corners of a quadrilateral that is none in its parts
        assert np.allclose(on.fields["a"][0, 1], 2 * expected, atol=1e-5)
    assert on.mesh.n_points == coarse.n_points and on.finer is data and list(on.attributes["nu"]) == [1, 2]
    assert on.fields["b"].shape == (2, 2, coarse.n_points)
    # values anywhere are those of the finer mesh, also of some of the trajectories and after a second step
    inside = fine.points[:5]
    for some, i in ((on, 1), (on[1:], 0), (on.on(box(kind, 1)), 1), (data, 1)):
        assert np.allclose(some.at(inside, i)[:, :, 1], fields["b"][1][:, :5], atol=1e-5)
        assert some.at(inside, i, slice(1, 2)).shape == (1, 5, 2)
    assert np.array_equal(data.at(inside, 0, names=["b", "a"]), data.at(inside, 0)[:, :, ::-1])
    other = on.with_fields({"c": on.fields["a"] + 1})  # of which nothing is known between nodes
    assert other.finer is None and np.allclose(other.at(coarse.points, 1)[:, :, 0], on.fields["a"][1] + 1, atol=1e-5)
    with pytest.raises(DatasetError, match=r"domain of the data .* nodes outside"):
        data.on(coarse.moved(1000 * coarse.points))
    with pytest.raises(DatasetError, match="dimensions"):
        data.on(box("tetra" if fine.dim == 2 else "triangle", 2))


def test_what_is_finer_is_not_written(tmp_path):
    data = example().on(example().mesh)
    assert Trajectories.load(data.save(tmp_path / "data.npz")).finer is None
