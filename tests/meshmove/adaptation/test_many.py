"""Many meshes at once are moved as each by itself: in order, lazily, and whatever becomes of one of them."""

import itertools
import multiprocessing
import os
import pickle
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import meshio
import numpy as np
import pytest
import pyvista as pv
import skfem

import meshmove
from meshmove.adaptation.failures import Caught, tried
from tests.shapes import front

TRI = (
    skfem.MeshTri()
    .refined(3)
    .with_boundaries({"left": lambda x: x[0] == 0})
    .with_subdomains({"low": lambda x: x[1] < 0.5})
)
FAST = {"monitor": meshmove.Monitor("gradient", intensity=4)}


def cases():
    """(mesh, field) of several libraries and orders."""
    space = np.c_[TRI.p.T, 0 * TRI.p[0]]
    grid = pv.UnstructuredGrid({pv.CellType.TRIANGLE: TRI.t.T}, space)
    grid.point_data["u"] = front(TRI.p)
    basis, second = skfem.Basis(TRI, skfem.ElementTriP2()), skfem.MeshTri2.from_mesh(TRI)
    return [
        (TRI, front(TRI.p)),
        (TRI, (basis, front(basis.doflocs))),
        (second, front(second.doflocs)),
        (meshio.Mesh(space, [("triangle", TRI.t.T)], point_data={"u": front(TRI.p)}), "u"),
        (grid, "u"),
    ]


CASES = cases()
MESHES, FIELDS = [m for m, _ in CASES], [f for _, f in CASES]
ALONE = [meshmove.adapt(mesh, field, **FAST) for mesh, field in CASES]


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.fixture(scope="module")
def threads():
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture(params=["here", "threads", "processes"])
def executor(request):
    return None if request.param == "here" else request.getfixturevalue(request.param)


def assert_alike(found, alone):
    assert type(found.mesh) is type(alone.mesh) and found.report.warnings == alone.report.warnings
    np.testing.assert_allclose(found.displacement, alone.displacement, atol=1e-9)
    assert list(found.fields) == list(alone.fields)
    for name in alone.fields:
        np.testing.assert_allclose(found.fields[name], alone.fields[name], atol=1e-6)


def test_results_are_those_of_each_by_itself_in_order(executor):
    found = list(meshmove.adapt_many(MESHES, FIELDS, executor=executor, **FAST))
    assert len(found) == len(ALONE)
    for out, alone in zip(found, ALONE, strict=True):
        assert_alike(out, alone)
    assert list(found[0].mesh.boundaries) == ["left"] and list(found[0].mesh.subdomains) == ["low"]


def test_a_mesh_that_fails_says_which_and_why_and_stops_nobody(executor):
    nan = np.full(TRI.p.shape[1], np.nan)
    found = list(meshmove.adapt_many([TRI, "no/such.vtu", TRI], [FIELDS[0], "u", nan], executor=executor, **FAST))
    assert_alike(found[0], ALONE[0])
    first, second = found[1:]
    assert isinstance(first, meshmove.Failure) and (first.number, first.mesh) == (1, "no/such.vtu")
    assert str(first).startswith("mesh 1, no/such.vtu: MeshFileError: Expected")
    assert isinstance(second, meshmove.Failure) and second.number == 2 and second.mesh is TRI
    assert isinstance(second.error, meshmove.FieldError) and "read_fields" in second.trace
    assert repr(second).startswith("<Failure of mesh 2, a MeshTri1: FieldError: Expected finite values")


def test_the_first_error_is_raised_where_that_is_asked_for(executor):
    results = meshmove.adapt_many([TRI, TRI], [FIELDS[0], FIELDS[0][:-1]], executor=executor, errors="raise", **FAST)
    assert_alike(next(results), ALONE[0])
    with pytest.raises(meshmove.FieldError) as caught:
        next(results)
    assert caught.value.__notes__[0].startswith("mesh 1, a MeshTri1")


class Counted:
    """Meshes without end, and how many were taken."""

    taken = 0

    def __iter__(self):
        for _ in itertools.count():
            self.taken += 1
            yield TRI


def test_no_more_meshes_are_taken_than_may_be_in_flight(threads):
    meshes = Counted()
    results = meshmove.adapt_many(meshes, front, executor=threads, in_flight=3, **FAST)
    assert meshes.taken == 0
    for done in range(3):
        next(results)
        assert meshes.taken == done + 3
    results.close()
    assert meshes.taken == 5


def test_by_default_twice_as_many_are_in_flight_as_there_are_workers(threads):
    meshes = Counted()
    next(meshmove.adapt_many(meshes, front, executor=threads, **FAST))
    assert meshes.taken == 4


class Manual(Executor):
    """Nothing is worked on unless a test says so."""

    def __init__(self, broken_after=None):
        self.futures, self.broken_after = [], broken_after

    def submit(self, function, /, *args, **options):
        if len(self.futures) == self.broken_after:
            raise BrokenProcessPool("a worker died")
        self.futures.append(Future())
        if self.broken_after is not None:
            self.futures[-1].set_result(function(*args, **options))
        return self.futures[-1]


def test_what_waits_is_called_off_when_nobody_asks_any_more():
    pool = Manual()
    results = meshmove.adapt_many(Counted(), front, executor=pool, in_flight=4, **FAST)
    with ThreadPoolExecutor(1) as other:
        first = other.submit(next, results)
        while len(pool.futures) < 4:
            time.sleep(0.01)
        pool.futures[0].set_result(ALONE[0])
        assert first.result() is ALONE[0]
    results.close()
    assert [f.cancelled() for f in pool.futures] == [False, True, True, True]


def test_an_executor_that_takes_no_more_ends_it_after_what_was_begun():
    results = meshmove.adapt_many(Counted(), front, executor=Manual(broken_after=2), **FAST)
    assert [type(next(results)).__name__ for _ in range(2)] == ["Adaptation"] * 2
    with pytest.raises(BrokenProcessPool, match="a worker died"):
        next(results)


def test_so_do_meshes_that_cannot_be_had(executor):
    def meshes():
        yield TRI
        raise KeyError("no more")

    results = meshmove.adapt_many(meshes(), front, executor=executor, **FAST)
    assert isinstance(next(results), meshmove.Adaptation)
    with pytest.raises(KeyError, match="no more"):
        next(results)


def test_what_cannot_be_sent_is_a_failure_of_its_mesh(processes):
    fields = [FIELDS[0], lambda x: x[0] ** 4, FIELDS[0]]
    found = list(meshmove.adapt_many([TRI] * 3, fields, executor=processes, **FAST))
    assert [type(out).__name__ for out in found] == ["Adaptation", "Failure", "Adaptation"]
    assert "pickle" in str(found[1]) and found[1].trace == ""


def fatal(x):
    os._exit(3)


def test_a_worker_that_dies_is_told_of():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        results = meshmove.adapt_many(Counted(), fatal, executor=pool, in_flight=2, **FAST)
        out = next(results)
        assert isinstance(out, meshmove.Failure) and isinstance(out.error, BrokenProcessPool)
        with pytest.raises(BrokenProcessPool):
            list(results)


class Stubborn(Exception):
    """Goes through pickle, and does not come out."""

    def __init__(self, one, two):
        super().__init__(f"{one} {two}")


def stubborn(x):
    raise Stubborn("one", "two")


def test_an_error_that_pickle_cannot_read_comes_as_its_words(processes):
    with pytest.raises(TypeError):
        pickle.loads(pickle.dumps(Stubborn("one", "two")))
    here = tried(TRI, stubborn, FAST)
    assert isinstance(here, Caught) and isinstance(here.error, RuntimeError) and "one two" in str(here.error)
    (out,) = meshmove.adapt_many([TRI], [stubborn], executor=processes, **FAST)
    assert "Stubborn: one two" in str(out) and "in stubborn" in out.trace


def test_one_mesh_for_many_fields_and_one_field_for_many_meshes(threads):
    fields = [front(TRI.p), 2 * front(TRI.p)]
    for out in meshmove.adapt_many(TRI, iter(fields), executor=threads, **FAST):
        np.testing.assert_array_equal(out.displacement, ALONE[0].displacement)
    block = pv.MultiBlock([CASES[4][0], CASES[4][0]])  # can be gone through, and is of a library of meshes
    found = list(meshmove.adapt_many(block, "u", executor=threads, **FAST))
    assert [type(out.mesh).__name__ for out in found] == ["UnstructuredGrid"] * 2
    (out,) = meshmove.adapt_many([TRI], monitor=lambda x: 1 + x[0])
    assert out.report.imbalance_after < out.report.imbalance_before


@pytest.mark.parametrize("options", [{"effort": 0.2}, {"mover": "dmm", "effort": 0.1}], ids=["auto", "dmm"])
def test_one_mesh_is_prepared_once_and_every_field_moves_it_as_if_it_came_alone(monkeypatch, options):
    t = np.linspace(0, 1, 9)
    mesh = skfem.MeshTri.init_tensor(t, t)
    fields = [np.tanh(8 * (mesh.p[0] - c)) for c in (0.3, 0.7)]
    fields.insert(1, np.full(81, np.nan))
    alone = [meshmove.adapt(mesh, fields[k], **options).displacement for k in (0, 2)]
    made = []
    prepare = meshmove.adaptation.adapt.UnitMesh
    monkeypatch.setattr("meshmove.adaptation.adapt.UnitMesh", lambda *args: made.append(1) or prepare(*args))
    recovered, recovery = [], meshmove.adaptation.unit_mesh.Recovery
    monkeypatch.setattr("meshmove.adaptation.unit_mesh.Recovery", lambda *args: recovered.append(1) or recovery(*args))
    first, failed, second = meshmove.adapt_many(mesh, fields, **options)
    assert len(made) == len(recovered) == 1 and isinstance(failed, meshmove.Failure)
    assert np.array_equal(first.displacement, alone[0]) and np.array_equal(second.displacement, alone[1])


def test_a_mesh_that_its_owner_moves_between_two_fields_is_prepared_anew():
    points = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0.5]])
    cells = meshio.Mesh(points.copy(), [("triangle", [[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]])])

    def fields():
        yield np.exp(3 * points[:, 0])
        cells.points[4] = 0.6, 0.5
        yield np.exp(3 * points[:, 1])

    _, second = meshmove.adapt_many(cells, fields())
    other = meshmove.adapt(cells, np.exp(3 * points[:, 1]))
    assert np.array_equal(second.mesh.points, other.mesh.points) and second.displacement.any()


def test_paths_are_read_where_the_work_is_done(processes, tmp_path):
    paths = [tmp_path / f"{i}.vtu" for i in range(2)]
    for path in paths:
        meshmove.save(CASES[3][0], path)
    for out in meshmove.adapt_many(paths, "u", executor=processes, **FAST):
        np.testing.assert_allclose(out.displacement, ALONE[3].displacement, atol=1e-9)


def test_a_list_that_can_be_gone_through_once_serves_all_meshes():
    held = iter([0, 1, 2])
    first, second = meshmove.adapt_many([TRI, TRI], front, fixed=held, **FAST)
    np.testing.assert_array_equal(first.displacement, second.displacement)
    assert not first.displacement[:3].any()


@pytest.mark.parametrize(
    ("meshes", "fields", "options", "message"),
    [
        ([TRI], [1, 2], {}, "a field for each mesh .got 1 meshes and 2 fields"),
        (TRI, "u", {}, "several meshes, or several fields for one .*use meshmove.adapt"),
        ("mesh.vtu", front, {}, "several meshes"),
        ([TRI], "u", {"errors": "ignore"}, "'return' or 'raise' .got 'ignore'"),
        ([TRI], "u", {"in_flight": 0}, "a number of meshes in flight .got 0"),
        ([TRI], "u", {"montior": "gradient"}, "did you mean 'monitor'"),
        ([TRI], "u", {"effort": -1}, "a positive effort"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(meshes, fields, options, message):
    with pytest.raises(ValueError, match=message):
        meshmove.adapt_many(meshes, fields, **options)


def test_what_is_no_executor_is_refused_at_once():
    class Client:
        def submit(self): ...

        def get_executor(self): ...

    with pytest.raises(TypeError, match="concurrent.futures.Executor .got Client; .*client.get_executor"):
        meshmove.adapt_many([TRI], "u", executor=Client())
    with pytest.raises(TypeError, match="meshes that can be gone through .got int"):
        meshmove.adapt_many(3, "u")
    with pytest.raises(TypeError, match="meshes that can be gone through .got dict: take its values"):
        meshmove.adapt_many({"a": TRI}, "u")
    with pytest.raises(TypeError, match="fields that can be gone through .got dict: take its values"):
        meshmove.adapt_many([TRI], {"a": "u"})


@pytest.mark.parametrize(
    ("meshes", "fields", "which"), [(2, 3, "2 meshes and more fields"), (3, 2, "2 fields and more meshes")]
)
def test_fields_that_are_too_few_or_too_many_are_found_when_they_end(meshes, fields, which):
    results = meshmove.adapt_many(iter([TRI] * meshes), iter([FIELDS[0]] * fields), **FAST)
    assert [type(next(results)).__name__ for _ in range(2)] == ["Adaptation"] * 2
    with pytest.raises(ValueError, match=which):
        next(results)


def test_a_bar_is_drawn_on_a_terminal_only(monkeypatch, capsys):
    list(meshmove.adapt_many(iter([TRI]), front, progress=True, **FAST))
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("FORCE_COLOR", "1")
    list(meshmove.adapt_many([TRI, TRI], front, progress=True, **FAST))
    out, err = capsys.readouterr()
    assert "adapting" in err and "100%" in err and out == ""
