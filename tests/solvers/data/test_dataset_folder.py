"""Folders and files of data sets: nothing foreign is touched, nothing is half-written, nothing damaged is believed."""

import io
import json
import multiprocessing
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from meshmove.geometry import FieldError
from meshmove.solvers.data import DatasetError, Trajectories, TrajectoryDataset, cached, cached_dataset
from meshmove.solvers.data.reading import files as _files
from meshmove.whole_files import locked, whole

POINTS = [[0.0, 0], [1, 0], [0, 1]]


def group(value=1.0, n=2):
    return Trajectories(POINTS, {"triangle": [[0, 1, 2]]}, [0.0, 1.0], {"u": np.full((n, 2, 3), value)})


def data_of(value=1.0):
    other = Trajectories(2 * np.array(POINTS), {"triangle": [[0, 1, 2]]}, [0.0, 1.0], {"u": np.full((1, 2, 3), value)})
    return TrajectoryDataset((group(value), other))


def value_in(folder):
    data = TrajectoryDataset.from_files(folder)
    assert len(data) == 3 and len(data.groups) == 2
    return float(np.unique(np.concatenate([g.fields["u"].ravel() for g in data.groups])).item())


def content(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", ["mine.npz", "deep.npz/thesis.txt", "group-0000.npz", "notes.txt", ".hidden", "a/b"])
@pytest.mark.parametrize("own", [False, True], ids=["foreign", "own"])
def test_what_is_foreign_stays(tmp_path, name, own):
    folder = tmp_path / "data"
    if own:
        data_of().save(folder)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"precious")
    before = content(tmp_path)
    with pytest.raises(FileExistsError, match=rf"holds other files, 1: {name.split('/')[0]}\).*another folder"):
        data_of(2.0).save(folder)
    assert content(tmp_path) == before
    if own and name not in ("mine.npz", "group-0000.npz"):
        assert value_in(folder) == 1


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "data").write_text("x")
    with pytest.raises(FileExistsError, match="which is a file"):
        data_of().save(tmp_path / "data")
    assert (tmp_path / "data").read_text() == "x"


def test_a_folder_keeps_its_mode_and_a_link_stays_one(tmp_path):
    (tmp_path / "there").mkdir(mode=0o750)
    (tmp_path / "data").symlink_to("there")
    for value in (1.0, 2.0):
        data_of(value).save(tmp_path / "data")
    assert (tmp_path / "data").is_symlink() and value_in(tmp_path / "there") == 2
    assert (tmp_path / "there").stat().st_mode & 0o777 == 0o750
    assert len(list((tmp_path / "there").iterdir())) == 3  # two groups and the manifest


def test_a_failed_save_leaves_the_old_data(tmp_path, monkeypatch):
    data_of().save(tmp_path / "data")
    before, saved = content(tmp_path), []

    def fails(self, path):
        saved.append(path)
        if len(saved) == 2:
            raise OSError("disk full")
        path.write_bytes(b"half")

    monkeypatch.setattr(Trajectories, "save", fails)
    with pytest.raises(OSError, match="disk full"):
        data_of(2.0).save(tmp_path / "data")
    after = content(tmp_path)
    assert after.keys() == before.keys() and value_in(tmp_path / "data") == 1


KILLED = """
import os, sys
from pathlib import Path
import numpy as np
from tests.solvers.data.test_dataset_folder import data_of, value_in
from meshmove.solvers.data import DatasetError

folder, seen = Path(sys.argv[1]), []
for n in range(1000):
    pid = os.fork()
    if not pid:
        count = [0]
        def hook(event, _):
            if event in ("open", "os.rename", "os.remove", "os.mkdir"):
                count[0] += 1
                if count[0] > n:
                    os._exit(9)  # as a kill: nothing is cleaned up
        sys.addaudithook(hook)
        data_of(2.0).save(folder)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, 9), code
    seen.append(value_in(folder))
    assert seen[-1] == 2 or code
    if not code:
        break
    if seen[-1] == 2:
        data_of(1.0).save(folder)  # what the killed one has left is in nobody's way
assert n > 10 and set(seen) == {1, 2}, (n, seen)
assert len(os.listdir(folder)) == 3, os.listdir(folder)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_killed_at_any_moment_the_old_or_the_new_is_there_whole(tmp_path):
    data_of().save(tmp_path / "data")
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    words = [sys.executable, "-c", KILLED, str(tmp_path / "data")]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_first_save_that_was_killed_is_named_and_made_again(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "manifest.json").write_text('{"layout": 1, "files": [], "coming": ["group-0000-01234567.npz"]}')
    (folder / "group-0000-01234567.npz").write_bytes(b"half")
    with pytest.raises(DatasetError, match="interrupted.*save it again"):
        TrajectoryDataset.from_files(folder)
    assert len(cached_dataset(folder, data_of)) == 3 and len(list(folder.iterdir())) == 3


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"files": ["../../x.npz"], "coming": [], "layout": 1}', '{"files": 3, "coming": [], "layout": 1}',
     '{"files": [], "coming": [], "layout": 2}'],
)  # fmt: skip
def test_a_damaged_manifest_is_named(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    for call in (TrajectoryDataset.from_files, data_of().save):
        with pytest.raises(DatasetError, match="manifest"):
            call(tmp_path)
    assert (tmp_path / "manifest.json").read_text() == text


def _worker(folder, k):
    made = []
    for i in range(4):
        data = cached_dataset(folder / f"set{i}", lambda: made.append(1) or data_of())
        one = cached(folder / f"file{i}.npz", lambda: made.append(1) or group())
        assert len(data) == 3 and len(one) == 2
        data_of(float(k)).save(folder / "shared")
        assert len(TrajectoryDataset.from_files(folder / "shared")) == 3
    return len(made)


def test_many_processes_share_a_cache(tmp_path):
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        made = pool.starmap(_worker, [(tmp_path, k) for k in range(3)])
    assert sum(made) == 8  # each is made by one of them
    left = {p.name for p in tmp_path.iterdir()}
    assert left == {f"set{i}" for i in range(4)} | {f"file{i}.npz" for i in range(4)} | {"shared"}


def test_a_lock_lets_one_in_at_a_time(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    inside, most = [0], []

    def work(_):
        with locked(tmp_path / "x"):
            inside[0] += 1
            most.append(inside[0])
            (tmp_path / "y").write_text("some work")
            inside[0] -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(200)))
    assert max(most) == 1 and [p.name for p in tmp_path.iterdir()] == ["y"]


def test_whole_files_leave_nothing_behind(tmp_path):
    with pytest.raises(RuntimeError), whole(tmp_path / "a") as part:
        part.write_text("half")
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    (tmp_path / "a").write_text("old")
    (tmp_path / "a").chmod(0o640)
    (tmp_path / "b").symlink_to("a")
    with whole(tmp_path / "b") as part:
        part.write_text("new")
    assert (tmp_path / "a").read_text() == "new" and (tmp_path / "a").stat().st_mode & 0o777 == 0o640
    from meshmove.learning.weights import write_weights  # not above, for processes that need no torch

    write_weights(tmp_path / "b", "k", {}, {})
    assert (tmp_path / "b").is_symlink()


def packed(entries, method=zipfile.ZIP_STORED):
    """An npz file from raw .npy contents."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, raw in entries.items():
            archive.writestr(f"{name}.npy", raw)
    return out.getvalue()


def npy(array, allow_pickle=False):
    out = io.BytesIO()
    np.save(out, array, allow_pickle=allow_pickle)
    return out.getvalue()


def header(shape, dtype="<f8"):
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": dtype, "fortran_order": False, "shape": shape})
    return out.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (header((10**13,)) + b"12345678", r"points.npy of shape \(10000000000000,\), 80000000000000 bytes"),
        (header((2, 2)) + bytes(16), r"32 bytes, where there are 16"),
        (header((1,)) + bytes(16), r"8 bytes, where there are 16"),
        (npy(np.array([{}, 1], object), True), "Python objects"),
        (npy(np.zeros(2, [("a", "O")]), True), "Python objects"),
        (b"not npy", "magic"),
    ],
)
def test_forged_arrays_are_refused_before_they_are_made(tmp_path, method, raw, message):
    times = npy(np.arange(2.0))
    (tmp_path / "a.npz").write_bytes(packed({"points": raw, "times": times, "fields/u": times}, method))
    for read in (Trajectories.load, TrajectoryDataset.from_files):
        with pytest.raises(DatasetError, match=rf"whole npz file \(got .*{message}.*a\.npz"):
            read(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"points": np.eye(3)[:, :2] + 1j}, "'points' as real numbers"),
        ({"times": np.array(["a", "b"])}, "'times' as real numbers"),
        ({"fields/u": np.full((1, 2, 3), "x")}, "'u' as real numbers"),
        ({"cells/triangle": np.array([[0, 1, 1.5]])}, "whole numbers as node ids in 'triangle'"),
        ({"about": np.array("{")}, "JSON object as 'about'"),
        ({"about": np.array("[]")}, "JSON object as 'about'"),
    ],
)
def test_entries_of_another_kind_are_named(tmp_path, changes, message):
    with np.load(group().save(tmp_path / "a.npz")) as file:
        entries = dict(file) | changes
    np.savez(tmp_path / "a.npz", **entries)
    with pytest.raises(DatasetError, match=message + r".*a\.npz"):
        Trajectories.load(tmp_path / "a.npz")


def test_a_save_between_the_manifest_and_the_files_is_not_mixed_in(tmp_path, monkeypatch):
    """The reader has seen the old manifest; the files that it then finds are those of two data sets."""
    data_of(1.0).save(tmp_path)
    listed, calls = _files.listed, []

    def late(folder):
        calls.append(listed(folder))
        if len(calls) == 1:  # another process saves, and is at work on its second file
            (tmp_path / "group-0000-0123abcd.npz").write_bytes(calls[0][0][0].read_bytes())
            manifest = json.loads((tmp_path / "manifest.json").read_text())
            (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"coming": ["group-0000-0123abcd.npz"]}))
        return calls[-1]

    monkeypatch.setattr(_files, "listed", late)
    assert value_in(tmp_path) == 1.0 and len(calls) > 2


def test_a_file_that_the_manifest_names_and_is_gone(tmp_path):
    data_of().save(tmp_path)
    next(tmp_path.glob("*.npz")).unlink()
    with pytest.raises(DatasetError, match="all files of a data set"):
        TrajectoryDataset.from_files(tmp_path)
    (tmp_path / "manifest.json").write_text("[" * 100_000)
    with pytest.raises(DatasetError, match="manifest"):
        TrajectoryDataset.from_files(tmp_path)


def test_damaged_files_give_data_or_the_documented_error(tmp_path):
    """Every cut, and bytes changed anywhere, zip directory and headers of arrays included."""
    path, rng = tmp_path / "a.npz", np.random.default_rng(0)
    good = [group().save(path).read_bytes()]
    with np.load(path) as file:
        np.savez_compressed(path, **dict(file))
    good.append(path.read_bytes())
    refused = 0
    for content_ in good:
        for trial in range(300):
            bad = bytearray(content_)
            if trial % 3 == 0:
                bad = bad[: rng.integers(len(bad))]
            else:
                at = rng.integers(len(bad) - 300 * (trial % 2), len(bad)) if trial % 2 else rng.integers(len(bad))
                bad[at] = rng.integers(256)
            path.write_bytes(bad)
            try:
                Trajectories.load(path)
            except (DatasetError, FieldError) as error:
                refused += 1
                assert "a.npz" in str(error)
    assert refused > 250
