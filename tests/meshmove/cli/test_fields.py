"""Fields on the command line: from the file, from its cells, from another file, from a formula."""

import json

import meshio
import numpy as np
import pytest
from typer.testing import CliRunner

import meshmove
from meshmove.cli.commands import app


def run(*words, code=0):
    result = CliRunner().invoke(app, [str(w) for w in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def grid(n, size=1.0, **data):
    """A square of triangles as meshio has it, z = 0."""
    s = np.linspace(0, size, n + 1)
    points = np.stack(np.meshgrid(s, s, indexing="ij"), axis=-1).reshape(-1, 2)
    a = np.arange((n + 1) ** 2).reshape(n + 1, n + 1)[:-1, :-1].ravel()
    cells = np.concatenate([np.c_[a, a + n + 1, a + n + 2], np.c_[a, a + n + 2, a + 1]])
    return meshio.Mesh(np.c_[points, np.zeros(len(points))], [("triangle", cells)], **data)


@pytest.fixture
def plain(tmp_path):
    """As Gmsh leaves it: tags, and no field."""
    mesh = grid(10)
    mesh.cell_data = {"gmsh:physical": [np.full(200, 1)], "gmsh:geometrical": [np.full(200, 1)]}
    mesh.point_data = {"gmsh:dim_tags": np.tile([2, 1], (121, 1))}
    path = tmp_path / "plain.msh"
    meshmove.save(mesh, path)
    return path


def test_a_formula_moves_a_mesh_without_fields(plain):
    out = plain.with_name("out.vtu")
    text = "tanh(20*(x-0.4))"
    run("adapt", plain, "--field", text, "-o", out, "--effort", 0.2)
    moved = meshmove.load(out)
    expected = meshmove.adapt(meshmove.load(plain), lambda x: np.tanh(20 * (x[0] - 0.4)), effort=0.2)
    assert np.allclose(moved.points, expected.mesh.points, atol=1e-6)
    assert np.array_equal(moved.point_data["field"], np.tanh(20 * (moved.points[:, 0] - 0.4)))


def test_a_formula_as_monitor_needs_no_field(plain):
    out = plain.with_name("out.vtu")
    text = run("adapt", plain, "--monitor", "1+9*exp(-50*r^2)", "-o", out, "--effort", 0.2).stdout
    expected = meshmove.adapt(
        meshmove.load(plain), monitor=lambda x: 1 + 9 * np.exp(-50 * (x**2).sum(axis=0)), effort=0.2
    )
    assert np.allclose(meshmove.load(out).points, expected.mesh.points, atol=1e-6) and "monge-ampere" in text


def test_a_mesh_without_fields_says_what_can_be_done(plain):
    error = run("adapt", plain, "-o", plain.with_name("out.vtu"), code=1).stderr
    assert "--field 'tanh(30*(x-1))'" in error and "the mesh has: none" in error and "dim_tags" not in error
    error = run("adapt", plain, "--field", "gmsh:dim_tags", "-o", plain.with_name("out.vtu"), code=1).stderr
    assert "numbers nodes or groups" in error


def test_cell_data(tmp_path):
    mesh = grid(10)
    middle = mesh.points[mesh.cells_dict["triangle"]].mean(axis=1)
    mesh.cell_data = {"power": [np.exp(-40 * ((middle - 0.5) ** 2).sum(axis=1))]}
    path, out = tmp_path / "mesh.vtu", tmp_path / "out.vtu"
    meshmove.save(mesh, path)
    run("adapt", path, "--field", "power", "-o", out, "--effort", 0.2)
    moved = meshmove.load(out)
    assert not np.allclose(moved.points, mesh.points) and moved.point_data["power"].shape == (121,)
    assert np.array_equal(moved.cell_data["power"][0], mesh.cell_data["power"][0])
    assert "'power' on cells" in run("adapt", path, "--field", "pwer", "-o", out, code=1).stderr


def test_a_constant_on_cells_is_constant_at_nodes(tmp_path):
    mesh = grid(4)
    mesh.cell_data = {"c": [np.full(32, 3.5)]}
    path, out = tmp_path / "mesh.vtu", tmp_path / "out.vtu"
    meshmove.save(mesh, path)
    run("adapt", path, "--field", "c", "-o", out, "--effort", 0.2)
    assert np.allclose(meshmove.load(out).point_data["c"], 3.5, rtol=1e-12)


def test_a_field_of_another_file_is_interpolated(plain):
    fine = grid(40)
    fine.point_data = {"u": 2 * fine.points[:, 0] - fine.points[:, 1], "T": np.exp(-9 * fine.points[:, 0])}
    other, out = plain.with_name("fine.vtu"), plain.with_name("out.vtu")
    meshmove.save(fine, other)
    run("adapt", plain, "--field-from", f"{other}:u", "-o", out, "--effort", 0.2)
    moved = meshmove.load(out)  # linear fields are exact, and move nothing
    assert np.allclose(moved.point_data["u"], 2 * moved.points[:, 0] - moved.points[:, 1], atol=1e-12)
    run("adapt", plain, "--field-from", f"{other}:T", "-o", out, "--effort", 0.2)
    assert not np.allclose(meshmove.load(out).points, moved.points)
    assert "with the name of its field (it has: 'u', 'T')" in " ".join(
        run("adapt", plain, "--field-from", other, "-o", out, code=1).stderr.split()
    )


def test_another_file_of_another_body_is_refused(plain):
    small = grid(10, size=0.5, point_data={"u": np.arange(121.0)})
    other = plain.with_name("small.vtu")
    meshmove.save(small, other)
    error = run("adapt", plain, "--field-from", other, "-o", plain.with_name("out.vtu"), code=1).stderr
    assert "to cover the mesh" in error and "of 121 nodes outside" in error
    raised = meshmove.load(other)
    raised.points[:, 2] = 1.0
    meshmove.save(raised, other)
    error = run("adapt", plain, "--field-from", other, "-o", plain.with_name("out.vtu"), code=1).stderr
    assert "another plane" in error
    assert not plain.with_name("out.vtu").exists()


def test_the_mesh_that_is_read_stays_unless_forced(plain):
    before = plain.read_bytes()
    words = ("adapt", plain, "--field", "tanh(9*x-3)", "--effort", 0.2, "-o")
    assert "--force" in run(*words, plain, code=1).stderr and plain.read_bytes() == before
    link = plain.with_name("link.msh")
    link.symlink_to(plain)
    assert "--force" in run(*words, link, code=1).stderr and plain.read_bytes() == before
    run(*words, plain, "--force")
    assert plain.read_bytes() != before


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("--monitor", "hesian"), "did you mean 'hessian'"),
        (("--mover", "monge"), "did you mean 'monge-ampere'"),
        (("--transfer", "conservativ"), "did you mean 'conservative'"),
        (("--transfer", "best"), "Expected one of interpolate, conservative, none"),
    ],
)
def test_a_choice_that_is_none_is_bad_usage_with_a_suggestion(plain, words, hint):
    result = run("adapt", plain, "--field", "x", "-o", plain.with_name("out.vtu"), *words, code=2)
    assert hint in " ".join(result.stderr.split()) and not result.stdout


def test_json_is_all_that_comes_on_standard_output(plain):
    out = plain.with_name("out.vtu")
    report = json.loads(run("adapt", plain, "--field", "tanh(9*x-3)", "-o", out, "--effort", 0.2, "--json").stdout)
    assert report["inverted_cells"] == 0 and report["predicted_error_after"] <= report["predicted_error_before"]
    rows = json.loads(run("info", out, "--json").stdout)
    assert rows["nodes"] == "121" and "field: float64" in str(rows["point data"])


def test_quiet_version_and_formats(plain):
    out = plain.with_name("out.vtu")
    text = run("--quiet", "adapt", plain, "--field", "tanh(9*x-3)", "-o", out, "--effort", 0.2).stdout
    assert "inverted cells" in text and "wrote" not in text
    assert run("--version").stdout == f"meshmove {meshmove.__version__}\n"
    listed = run("info", "--formats").stdout
    assert ".msh" in listed and ".pvd" in listed and "gmsh" in listed
    assert "Expected a mesh file, or --formats" in run("info", code=1).stderr


def test_long_steps_are_told_where_there_is_no_terminal(monkeypatch, capsys):
    import threading

    from meshmove.cli import console

    monkeypatch.setattr(console, "PATIENCE", 0.0)
    late = threading.Event()
    with console.working("moving 5 nodes"):
        for _ in range(200):
            if late.wait(0.01) or "..." in capsys.readouterr().err:
                break
        else:
            pytest.fail("nothing was told")
    assert "moving 5 nodes: " in capsys.readouterr().err
