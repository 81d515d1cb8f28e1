"""Forty ways to get a command line wrong: a cause or a suggestion on stderr, code 1 or 2, and nothing written."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

import meshmove
from meshmove.cli.commands import app

#: words, exit code, and what the message has to say; `mesh.msh` has no field, `field.vtu` one
USAGES = [
    ("adapt", 2, "IN"),
    ("adapt mesh.msh --field x", 2, "--out"),
    ("adapt mesh.msh -o o.vtu", 1, "--field"),
    ("adapt nowhere.msh --field x -o o.vtu", 1, "nowhere.msh"),
    ("adapt folder --field x -o o.vtu", 1, "folder"),
    ("adapt empty.msh --field x -o o.vtu", 1, "empty.msh"),
    ("adapt words.msh --field x -o o.vtu", 1, "words.msh"),
    ("adapt words.txt --field x -o o.vtu", 1, "words.txt"),
    ("adapt cut.vtu --field u -o o.vtu", 1, "cut.vtu"),
    ("adapt field.vtu --field temperature -o o.vtu", 1, "'u'"),
    ("adapt field.vtu --field gmsh:dim_tags -o o.vtu", 1, "gmsh:dim_tags"),
    ("adapt mesh.msh --field tanh(30*(x-1) -o o.vtu", 1, "tanh(30*(x-1)"),
    ("adapt mesh.msh --field tang(x) -o o.vtu", 1, "tan"),
    ("adapt mesh.msh --field x+w -o o.vtu", 1, "'w'"),
    ("adapt mesh.msh --field __import__('os').getcwd() -o o.vtu", 1, "__import__"),
    ("adapt mesh.msh --field log(x-5) -o o.vtu", 1, "finite"),
    ("adapt mesh.msh --field 1 --field-from field.vtu:u -o o.vtu", 1, "--field-from"),
    ("adapt mesh.msh --field-from nowhere.vtu:u -o o.vtu", 1, "nowhere.vtu"),
    ("adapt mesh.msh --field-from field.vtu:v -o o.vtu", 1, "'u'"),
    ("adapt mesh.msh --monitor x-5 -o o.vtu", 1, "positive"),
    ("adapt mesh.msh --monitor hesian --field x -o o.vtu", 2, "hessian"),
    ("adapt mesh.msh --mover monge-amper --field x -o o.vtu", 2, "monge-ampere"),
    ("adapt mesh.msh --effort much --field x -o o.vtu", 2, "--effort"),
    ("adapt mesh.msh --effort -1 --field x -o o.vtu", 1, "effort"),
    ("adapt mesh.msh --monitor 1/0 --field x -o o.vtu", 1, "monitor"),
    ("adapt mesh.msh --boundary intel=fixed --field x -o o.vtu", 1, "'inlet'"),
    ("adapt mesh.msh --boundary inlet=glued --field x -o o.vtu", 1, "fixed"),
    ("adapt mesh.msh --feild x -o o.vtu", 2, "--field"),
    ("adapt mesh.msh --field x -o mesh.msh", 1, "--force"),
    ("adapt mesh.msh --field x -o o.xyzzy", 1, "xyzzy"),
    ("adapt mesh.msh --field x -o no/such/folder/o.vtu", 1, "no/such/folder"),
    ("adapt mesh.msh --field x -o o.vtu --plot p.docx", 1, "docx"),
    ("adpat mesh.msh", 2, "adapt"),
    ("info", 1, "mesh file"),
    ("info nowhere.msh", 1, "nowhere.msh"),
    ("info words.msh", 1, "words.msh"),
    ("info mesh.msh --jsn", 2, "--jsn"),
    ("examples poisson_step", 2, "poisson_steep"),
    ("bench rings", 1, "ring"),
    ("train burger", 2, "burger"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files that are good and bad."""
    at = tmp_path_factory.mktemp("files")
    mesh = meshmove.samples.channel()
    mesh.points[:, 0] -= mesh.points[:, 0].min()
    mesh.point_data.clear()
    meshmove.save(mesh, at / "mesh.msh")
    mesh.point_data["u"] = np.tanh(30 * (mesh.points[:, 0] - 1))
    meshmove.save(mesh, at / "field.vtu")
    (at / "folder").mkdir()
    (at / "empty.msh").touch()
    (at / "words.msh").write_text("dear mesh\n")
    (at / "words.txt").write_text("dear mesh\n")
    (at / "cut.vtu").write_bytes((at / "field.vtu").read_bytes()[:3000])
    return at


@pytest.mark.parametrize(("usage", "code", "says"), USAGES, ids=[usage for usage, *_ in USAGES])
def test_bad_usages_say_what_is_wrong_and_write_nothing(usage, code, says, folder, tmp_path, monkeypatch):
    here = tmp_path / "here"
    shutil.copytree(folder, here)
    monkeypatch.chdir(here)
    before = {p: p.stat().st_mtime_ns for p in here.rglob("*")}
    result = CliRunner().invoke(app, usage.split())
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    assert says in " ".join(result.stderr.split()) and not result.stdout
    assert "Traceback" not in result.stderr
    assert before == {p: p.stat().st_mtime_ns for p in here.rglob("*")}
