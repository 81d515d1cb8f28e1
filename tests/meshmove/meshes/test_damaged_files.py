"""Files under bad conditions: cut short, in threads, on a full disk, beside other files; and what formats keep."""

import contextlib
import os
import re
import resource
import subprocess
import sys
import threading
import warnings
from functools import partial
from pathlib import Path

import meshio
import numpy as np
import pytest
import skfem
from typer.testing import CliRunner

from meshmove.cli.commands import app
from meshmove.meshes.files import writing as _writing
from meshmove.meshes.files.io import MeshFileError, MeshFileWarning, load, save
from meshmove.meshes.files.lost import lost
from meshmove.meshes.files.own_meshio import extensions, listening, reader
from meshmove.meshes.source import Source


def flat():
    """Triangles with sides, data and sets of every kind."""
    mesh = skfem.MeshTri().refined(2)
    n, sides = mesh.t.shape[1], mesh.facets[:, mesh.boundary_facets()].T
    rng = np.random.default_rng(0)
    return meshio.Mesh(
        np.c_[mesh.p.T / 3, 0 * mesh.p[0]],
        [("triangle", mesh.t.T), ("line", sides)],
        point_data={"u": mesh.p[0] / 3},
        cell_data={
            "w": [rng.random(n), rng.random(len(sides))],
            "mat": [np.arange(n) // 8, np.zeros(len(sides), int)],
        },
        cell_sets={"steel": [np.arange(9), np.empty(0, int)], "wall": [None, np.arange(3)]},
        point_sets={"pin": np.array([1, 2])},
    )


def solid():
    mesh = skfem.MeshTet().refined(1)
    return meshio.Mesh(mesh.p.T / 3, [("tetra", mesh.t.T)], point_data={"u": mesh.p[0] / 3})


def saved(mesh, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MeshFileWarning)
        save(mesh, path)


#: formats that nothing here writes: other packages are needed, or meshio's writer fails
UNWRITTEN = (".e", ".exo", ".ex2", ".f3grid", ".svg", ".ugrid")


@pytest.mark.parametrize("suffix", sorted(set(extensions()) - set(UNWRITTEN)))
def test_no_prefix_of_a_file_is_read_for_ever(suffix, tmp_path, capfd):
    """Each is refused as a file that cannot be read, or is a smaller mesh where the format has no end."""
    path = tmp_path / f"whole{suffix}"
    bare = meshio.Mesh(flat().points, flat().cells[:1])
    for mesh in (flat(), solid(), bare):
        with contextlib.suppress(MeshFileError):
            saved(mesh, path)
            break
    whole, content = load(path), path.read_bytes()
    refused = 0
    for k in sorted({0, 1, 3, 7, 20, *np.linspace(0, len(content), 12, dtype=int)[1:-1]}):
        path.write_bytes(content[:k])
        try:
            assert len(load(path).points) <= len(whole.points)
        except MeshFileError:
            refused += 1
    assert refused > 4
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.off", "OFF\n"),
        ("a.bdf", "BEGIN BULK\n"),
        ("a.node", "# nothing\n"),
        ("a.obj", ""),
        ("a.vol", "mesh3d\n"),
        ("a.wkt", "TIN (" + ", ".join(["((0 0 0, 1 0 0, 0 1 0, 0 0 0))"] * 40) + ", ((0 0 0, 1 x 0, 0 1 0, 0 0 0)))"),
    ],
)
def test_readers_that_wait_at_the_end_are_stopped(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(MeshFileError, match="readable mesh"):
        load(tmp_path / name)


def test_what_a_file_promises_is_not_believed(tmp_path):
    (tmp_path / "a.off").write_text("OFF\n999999999999 1 0\n0 0 0\n")
    with pytest.raises(MeshFileError, match="ends too early"):
        load(tmp_path / "a.off")


@pytest.mark.parametrize("name", [None, 3, "a\0b.vtu", "x" * 300 + ".vtu", flat()], ids=repr)
def test_what_is_no_name_of_a_file_is_said(name):
    for use in (partial(load, name), partial(save, flat(), name)):
        with pytest.raises(MeshFileError, match="Expected the name of a file"):
            use()


def test_nothing_that_the_process_shares_is_touched(tmp_path, monkeypatch):
    """Threads that read and write leave the console, the warning filters and meshio as they are."""
    streams, filters = (sys.stdout, sys.stderr), list(warnings.filters)
    seen = set()
    mesh = flat()

    def work(k):
        for j in range(5):
            saved_here = tmp_path / f"{k}-{j}.vtu"
            save(mesh, saved_here)
            load(saved_here)
            (tmp_path / f"{k}.msh").write_text("$MeshFormat\n2.2 0 8\n$EndMeshFormat\n$Nodes\n1\n")
            with pytest.raises(MeshFileError):
                load(tmp_path / f"{k}.msh")
            seen.add((sys.stdout, sys.stderr) == streams)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    before = dict(vars(meshio._common)), meshio.read
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert seen == {True} and (sys.stdout, sys.stderr) == streams
    assert list(warnings.filters) == filters
    assert (dict(vars(meshio._common)), meshio.read) == before


def test_an_exit_that_is_not_meshio_s_goes_through(tmp_path, monkeypatch):
    (tmp_path / "a.vtu").write_text("x")

    def terminated(name):
        def read(path):
            raise SystemExit(3)

        return read

    monkeypatch.setattr(_writing, "reader", terminated)
    with pytest.raises(SystemExit):
        load(tmp_path / "a.vtu")


def test_formats_registered_with_meshio_are_used(tmp_path):
    def write(path, mesh):
        meshio.vtu.write(path, mesh)

    mesh = flat()
    meshio.register_format("mine", [".mine"], lambda path: meshio.vtu.read(path), {"mine": write})
    try:
        save(mesh, tmp_path / "a.mine")
        assert lost(mesh, load(tmp_path / "a.mine")) == []
    finally:
        meshio.deregister_format("mine")
        del meshio.extension_to_filetypes[".mine"]


# -- what formats keep ----------------------------------------------------------------------------------------------

KEPT = {".vtu", ".vtk", ".xdmf", ".xmf", ".msh", ".med"}


@pytest.mark.parametrize("suffix", sorted(set(extensions()) - {".e", ".exo", ".ex2"}))
def test_saving_says_what_a_format_does_not_keep(suffix, tmp_path):
    """What is not named in the warning is in the file; where nothing is, nothing is lost."""
    path, mesh = tmp_path / f"a{suffix}", flat()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            save(mesh, path)
        except MeshFileError as error:
            assert re.search("hold this mesh", str(error)) and not path.exists()
            return
    said = [w for w in caught if issubclass(w.category, MeshFileWarning)]
    assert bool(said) == (suffix not in KEPT)
    if suffix == ".svg":
        return
    found = re.search(r"\(lost: (.*)\): the format", str(said[0].message)).group(1).split(", ") if said else []
    assert lost(mesh, load(path)) == found


def test_a_small_piece_tells_of_a_large_mesh(tmp_path):
    mesh = flat()
    with pytest.warns(
        MeshFileWarning, match=r"a.bdf' holds less.*lost: .*point data 'u', .*'w'.*'steel'.*'pin'\).*\.vtu"
    ):
        save(mesh, tmp_path / "a.bdf")
    bare = meshio.Mesh(np.eye(3), [("triangle", [[0, 1, 2]])])
    save(bare, tmp_path / "b.off")  # nothing to lose, nothing said


def test_su2_keeps_its_markers(tmp_path):
    mesh = flat()
    sides = [np.flatnonzero(np.isclose(mesh.points[mesh.cells[1].data, 0], x).all(axis=1)) for x in (0, 1 / 3)]
    mesh = meshio.Mesh(mesh.points, mesh.cells, cell_sets={"in let": [None, sides[0]], "outlet": [None, sides[1]]})
    saved(mesh, tmp_path / "a.su2")
    first = load(tmp_path / "a.su2")
    saved(first, tmp_path / "b.su2")
    again = load(tmp_path / "b.su2")
    for back in (first, again):
        cells = Source.of(back).cells
        assert np.allclose(cells.points[cells.facets["in_let"]][..., 0], 0) and len(cells.facets["in_let"]) == 4
        assert np.allclose(cells.points[cells.facets["outlet"]][..., 0], 1 / 3)
        assert len(cells.facets["unnamed"]) == 8
    assert np.array_equal(again.points, first.points)


# -- other files ----------------------------------------------------------------------------------------------------


def test_xdmf_leaves_another_h5_alone_and_renews_its_own(tmp_path):
    mesh = flat()
    (tmp_path / "mine.h5").write_bytes(b"precious")
    save(mesh, tmp_path / "mine.xdmf")
    save(mesh, tmp_path / "mine.xdmf")
    assert (tmp_path / "mine.h5").read_bytes() == b"precious"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.h5", "mine.xdmf", "mine_1.h5"]
    assert np.array_equal(load(tmp_path / "mine.xdmf").points, mesh.points)


def test_tetgen_s_second_file_takes_no_other_s_place(tmp_path):
    (tmp_path / "a.ele").write_text("another's")
    with pytest.raises(MeshFileError, match="'a.ele' is there already"):
        saved(solid(), tmp_path / "a.node")
    assert [p.name for p in tmp_path.iterdir()] == ["a.ele"] and (tmp_path / "a.ele").read_text() == "another's"
    (tmp_path / "a.ele").unlink()
    for _ in range(2):
        saved(solid(), tmp_path / "a.node")


@pytest.mark.skipif(os.name == "nt", reason="links and modes of POSIX")
@pytest.mark.parametrize("suffix", [".vtu", ".xdmf"])
def test_links_and_modes_stay(suffix, tmp_path):
    (tmp_path / "store").mkdir()
    target, link = tmp_path / f"store/real{suffix}", tmp_path / f"link{suffix}"
    save(flat(), target)
    target.chmod(0o640)
    link.symlink_to(target)
    mesh = flat()
    mesh.points = mesh.points + 1
    save(mesh, link)
    assert link.is_symlink() and target.stat().st_mode & 0o777 == 0o640
    assert np.array_equal(load(link).points, mesh.points) and np.array_equal(load(target).points, mesh.points)
    new = tmp_path / f"new{suffix}"
    save(mesh, new)
    mask = os.umask(0)
    os.umask(mask)
    assert new.stat().st_mode & 0o777 == 0o666 & ~mask


_LITTLE_ROOM = """
import resource, signal, sys, meshio, numpy as np, meshmove
rng = np.random.default_rng(0)
mesh = meshio.Mesh(rng.random((30000, 3)), [("triangle", rng.integers(0, 30000, (30000, 3)))])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))
try:
    meshmove.save(mesh, sys.argv[1])
except meshmove.MeshFileError as error:
    print("said", "able to write" in str(error))
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="needs a limit of file size")
@pytest.mark.parametrize("suffix", [".xdmf", ".med", ".vtu"])
def test_where_there_is_no_room_it_is_said(suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    run = subprocess.run([sys.executable, "-c", _LITTLE_ROOM, str(path)], capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stdout.strip()) == (0, "said True")
    assert not list(tmp_path.iterdir())


def test_what_is_said_stays_with_the_one_who_listens(tmp_path):
    path = tmp_path / "a.su2"
    path.write_text(
        "NDIME= 2\nNELEM= 1\n5 0 1 2\nNPOIN= 3\n0 0\n1 0\n0 1\nNMARK= 2\nMARKER_TAG= far\nMARKER_ELEMS= 1\n3 0 1\n"
    )
    with listening() as outer:
        with listening() as inner:
            reader("su2")(str(path))
        assert outer == inner and any("expected 2 markers" in w for w in inner)


def test_the_command_line_says_what_is_lost_in_a_line(tmp_path):
    save(flat(), tmp_path / "in.vtu")
    words = ["adapt", str(tmp_path / "in.vtu"), "-o", str(tmp_path / "out.mesh"), "--field", "u"]
    run = CliRunner().invoke(app, words)
    assert run.exit_code == 0 and "meshmove: 'out.mesh' holds less than the mesh (lost: point data 'u'" in run.output


# -- the documentation's table --------------------------------------------------------------------------------------


def lacks(message):
    """The kinds of things that a warning names, in the words of the documentation."""
    if "picture" in message:
        return "all but a picture"
    kinds = [
        ("digits of coordinates", "digits"),
        ("sides (cells of lower dimension)", "line cells"),
        ("point data", "point data 'u'"),
        ("cell data of integers", "'mat'"),
        ("cell data", "'w'"),
        ("cell sets of the interior", "'steel'"),
        ("named sides", "'wall'"),
        ("point sets", "'pin'"),
    ]
    return ", ".join(name for name, sign in kinds if sign in message) or "nothing"


@pytest.mark.parametrize("suffix", sorted(set(extensions()) - {".e", ".exo", ".ex2"}))
def test_the_table_of_formats_says_what_is_lost(suffix, tmp_path):
    text = (Path(__file__).parents[3] / "docs" / "files.md").read_text()
    told = {
        e: lost_there
        for left, lost_there in re.findall(r"^\| (`\..*) \| (.*) \|$", text, re.M)
        for e in left.split(", ")
    }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            save(flat(), tmp_path / f"a{suffix}")
            found = lacks(str(caught[0].message) if caught else "")
        except MeshFileError:
            found = "refused"
    assert told[f"`{suffix}`"] == found
