"""What is said while something takes its time: stages of a move, on a terminal and where it is piped."""

import re
import time

import meshio
import pytest
import skfem
from typer.testing import CliRunner

import meshmove
from meshmove.cli import console
from meshmove.cli.commands import app
from meshmove.progress import STAGES, stage


def run(*words, code=0):
    result = CliRunner().invoke(app, [str(w) for w in words])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def plain(tmp_path):
    mesh = skfem.MeshTri().refined(3)
    path = tmp_path / "plain.vtu"
    meshmove.save(meshio.Mesh(mesh.p.T, [("triangle", mesh.t.T)]), path)
    return path


def test_verbose_tells_each_stage_of_a_move_with_its_residual(plain):
    words = ("adapt", plain, "--field", "tanh(9*x-3)", "-o", plain.with_name("out.vtu"), "--effort", 0.2)
    lines = run("--verbose", *words).stderr.splitlines()
    assert all(line.startswith("meshmove: ") for line in lines)
    text = "\n".join(lines)
    assert re.search(r"\d\.\d s  relaxation: [\d.e-]+ of the residual is left, steps: \d+", text)
    assert re.search(r"\d\.\d s  alignment: [\d.e-]+ of the predicted error it began with, steps: \d+", text)
    order = [text.index(f"meshmove: {word}") for word in ("reading", "moving", "writing")]
    assert order == sorted(order) and "boundary found: 81 vertices" in text
    assert "residual" not in run(*words, "--force").stderr
    assert "Expected --quiet or --verbose (got both)" in run("--quiet", "--verbose", "info", plain, code=1).stderr


def test_stages_come_now_and_then_once_a_step_takes_long(monkeypatch, capsys):
    monkeypatch.setattr(console, "PATIENCE", 0.0)
    monkeypatch.setattr(console, "APART", 3600.0)
    level = STAGES.level
    with console.working("moving"):
        stage("too soon")
    monkeypatch.setattr(console, "APART", 0.0)
    with console.working("moving") as _:
        for _ in range(200):
            if "moving ..." in capsys.readouterr().err:
                break
            time.sleep(0.01)
        stage("number %d", 7)
    err = capsys.readouterr().err
    assert "s  number 7" in err and "too soon" not in err
    assert STAGES.level == level and not STAGES.handlers


def test_a_terminal_shows_the_stage_beside_the_spinner(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with console.working("moving 5 nodes"):
        stage("halfway")
        time.sleep(0.3)
    assert "moving 5 nodes: halfway" in capsys.readouterr().err
