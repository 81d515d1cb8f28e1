"""The command line, run as a user runs it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import meshio
import numpy as np
import pytest
from typer.testing import CliRunner

import meshmove
from meshmove.cli import arguments
from meshmove.cli import benchmarks as _bench
from meshmove.cli.commands import app


@pytest.fixture
def run():
    def call(*words, code=0):
        result = CliRunner().invoke(app, [str(w) for w in words])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return call


@pytest.fixture
def square(tmp_path):
    """A file with triangles, a named side and a steep field."""
    s = np.linspace(0, 1, 9)
    points = np.stack(np.meshgrid(s, s, indexing="ij"), axis=-1).reshape(-1, 2)
    a = np.arange(81).reshape(9, 9)[:-1, :-1].ravel()
    cells = np.concatenate([np.c_[a, a + 9, a + 10], np.c_[a, a + 10, a + 1]])
    left = np.c_[np.arange(8), np.arange(1, 9)]
    tags = [np.full(8, 1), np.full(128, 2)]
    mesh = meshio.Mesh(
        np.c_[points, np.zeros(81)],
        [("line", left), ("triangle", cells)],
        point_data={"u": np.tanh(20 * (points[:, 0] - 0.5)), "one": np.ones(81)},
        cell_data={"gmsh:physical": tags, "gmsh:geometrical": tags},
        field_data={"left": np.array([1, 1]), "body": np.array([2, 2])},
    )
    path = tmp_path / "square.msh"
    meshmove.save(mesh, path)
    return path


def files(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


def test_adapt_writes_the_moved_mesh_and_prints_the_report(run, square):
    out = square.with_name("moved.vtu")
    result = run("adapt", square, "--field", "u", "-o", out, "--effort", 0.3)
    assert "inverted cells" in result.stdout and f"wrote {out}" in result.stdout
    before, after = meshmove.load(square), meshmove.load(out)
    assert len(after.points) == len(before.points) and not np.allclose(after.points, before.points)
    expected = meshmove.adapt(before, "u", effort=0.3)
    assert np.array_equal(after.points[:, :2], expected.mesh.points[:, :2])
    assert np.array_equal(after.point_data["u"], expected.fields["u"])


def test_adapt_options_reach_the_mover(run, square):
    out = square.with_name("moved.msh")
    options = ("--mover", "smooth", "--monitor", "gradient", "--transfer", "none", "--boundary", "left=fixed")
    assert "smooth" in run("adapt", square, "--field", "u", "-o", out, *options).stdout
    before, after = meshmove.load(square), meshmove.load(out)
    left = before.points[:, 0] == 0
    assert np.array_equal(before.points[left], after.points[left])
    assert np.array_equal(before.point_data["u"], after.point_data["u"])


def test_adapt_draws(run, square):
    pytest.importorskip("pyvista")
    picture = square.with_name("moved.png")
    out = square.with_name("moved.vtu")
    run("adapt", square, "--field", "u", "-o", out, "--plot", picture, "--effort", 0.3)
    assert picture.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--field", "v", "-o", "out.vtu"),
            "or a formula such as 'tanh(30*(x-1))' (got 'v'; the mesh has: 'u', 'one')",
        ),
        (("--field", "u", "-o", "out.xyz"), "Expected a file name with one of the extensions"),
        (("--field", "u", "-o", "nowhere/out.vtu"), "'nowhere', which does not"),
        (("--field", "u", "-o", "."), "Expected a file"),
        (
            ("--field", "u", "-o", "out.vtu", "--plot", "out.bmp"),
            "Expected a picture with the extension .png, .svg, .pdf or",
        ),
        (("--field", "u", "-o", "out.vtu", "--plot", "no/out.png"), "Expected a folder that exists"),
        (("--field", "u", "-o", "out.vtu", "--effort", "0"), "Expected a positive effort"),
        (("--field", "u", "-o", "out.vtu", "--boundary", "right=fixed"), "got 'right'; it has: 'left'"),
        (("--field", "u", "-o", "out.vtu", "--boundary", "left", "--boundary", "x=slide"), "NAME=fixed (got 'left')"),
    ],
)
def test_an_error_is_one_line_and_leaves_nothing(run, square, monkeypatch, words, message):
    monkeypatch.chdir(square.parent)
    result = run("adapt", square, *words, code=1)
    assert result.stderr.startswith("meshmove: ") and result.stderr.count("\n") == 1
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert files(square.parent) == {"square.msh"}


def test_a_folder_that_cannot_be_written(run, square, monkeypatch):
    monkeypatch.setattr(arguments, "unwritable", lambda _: "Permission denied")  # root may write everywhere
    result = run("adapt", square, "--field", "u", "-o", square.with_name("out.vtu"), code=1)
    assert "can be written" in result.stderr and files(square.parent) == {"square.msh"}


def test_a_bug_keeps_its_traceback(square, monkeypatch):
    def broken(*args, **options):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(meshmove, "adapt", broken)
    out = square.with_name("out.vtu")
    result = CliRunner().invoke(app, ["adapt", str(square), "--field", "u", "-o", str(out)])
    assert isinstance(result.exception, ZeroDivisionError)


@pytest.mark.parametrize("content", [b"", b"$MeshFormat\n4.1 0 8\n", b"\x00\x01rubbish"])
def test_damaged_files(run, tmp_path, content):
    path = tmp_path / "damaged.msh"
    path.write_bytes(content)
    for words in (("info", path), ("adapt", path, "--field", "u", "-o", tmp_path / "out.vtu")):
        assert str(path) in run(*words, code=1).stderr
    assert files(tmp_path) == {"damaged.msh"}


def test_info(run, square):
    text = run("info", square).stdout
    lines = dict(line.split(maxsplit=1) for line in text.splitlines() if line.split()[0] in ("nodes", "cells"))
    assert lines == {"nodes": "81", "cells": "128 triangle"}
    for part in ("left (8 facets)", "u: float64, -", "one: float64", "scaled Jacobian", "aspect ratio"):
        assert part in text
    assert text.splitlines()[-1].split() == ["fit", "to", "be", "moved", "yes"]
    assert [line.split()[-1] for line in text.splitlines() if line.startswith("inverted")] == ["0"]


def test_info_describes_a_mesh_that_cannot_be_moved(run, square):
    mesh = meshmove.load(square)
    mesh.points[mesh.cells_dict["triangle"][40, 0], :2] += 0.4
    meshmove.save(mesh, square)
    verdict = run("info", square).stdout.splitlines()[-1]
    assert "no. Expected neighbouring cells on opposite sides" in verdict


def test_demo(run, tmp_path):
    out = tmp_path / "results"
    text = run("demo", "--out", out).stdout
    assert {"channel.vtu", "channel_moved.vtu"} <= files(out)
    before, after = meshmove.load(out / "channel.vtu"), meshmove.load(out / "channel_moved.vtu")
    assert not np.allclose(before.points, after.points)
    assert set(before.point_data) == set(after.point_data) == {"temperature"}
    assert "predicted" in text and "inverted cells" in text
    try:
        import pyvista  # noqa: F401
    except ImportError:
        assert "no picture" in text
    else:
        assert (out / "channel.png").is_file()


def test_demo_says_so_without_pyvista(run, tmp_path, monkeypatch):
    import importlib.util

    adapt, found = meshmove.adapt, importlib.util.find_spec
    monkeypatch.setattr(meshmove, "adapt", lambda mesh, field: adapt(mesh, field, mover="smooth"))  # faster
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "pyvista" else found(name, *a))
    assert (
        'no picture: PyVista is not installed (pip install "meshmove[pyvista]")'
        in run("demo", "--out", tmp_path).stdout
    )
    assert files(tmp_path) == {"channel.vtu", "channel_moved.vtu"}


def test_bench_outside_a_checkout_says_where_to_get_it(run, monkeypatch, tmp_path):
    monkeypatch.setattr(_bench, "__file__", str(tmp_path / "site-packages" / "meshmove" / "_bench.py"))
    monkeypatch.chdir(tmp_path)
    assert "Clone the repository" in run("bench", code=1).stderr


def test_bench_lists_names(run):
    error = run("bench", "speeed", code=1).stderr
    assert "Expected benchmarks among aligned, cube, fem" in error and "(got 'speeed'" in error
    listed = run("bench", "--list").stdout.splitlines()
    assert listed[0].split() == ["name", "what", "it", "measures", "runs"]
    runs = {line.split()[0]: re.split("  +", line)[1:] for line in listed}
    assert runs["ring"][0].startswith("Imbalance and time on the unit square") and runs["ring"][1] == "by default"
    assert runs["peers"][1] == "only when named"


def test_bench_writes_json(run, tmp_path, monkeypatch):
    rows = [
        {"name": "good", "measured": 1.0, "target": "<= 2", "met": True},
        {"name": "bad", "measured": 3.0, "target": "<= 2", "met": False},
        {"name": "free", "measured": 3.0, "target": None, "met": None},
    ]
    monkeypatch.setattr(_bench, "run", lambda name, quick, record: rows)
    text = run("bench", "ring", "--quick", "--json", tmp_path / "all.json").stdout
    assert [line.split() for line in text.splitlines()[-4:]] == [
        ["ring", "good", "1.0", "<=", "2", "met"],
        ["ring", "bad", "3.0", "<=", "2", "missed"],
        [],
        ["1", "of", "2", "targets", "met"],
    ]
    assert json.loads((tmp_path / "all.json").read_text()) == {"ring": rows}
    assert files(tmp_path) == {"all.json"}


def test_a_benchmark_runs_in_its_own_interpreter(tmp_path, monkeypatch):
    adapting = tmp_path / "benchmarks" / "adapting"
    adapting.mkdir(parents=True)
    code = """
import json, os, sys
rows = [{"name": "threads", "measured": os.environ["OMP_NUM_THREADS"], "target": None, "met": "--quick" in sys.argv}]
open(sys.argv[sys.argv.index("--json") + 1], "w").write(json.dumps({"rows": rows}))
def run(): ...
"""
    (adapting / "ring.py").write_text(code)
    (adapting / "cube.py").write_text("def run(): ...\nraise SystemExit(3)")
    monkeypatch.setattr(_bench, "folder", lambda: tmp_path / "benchmarks")
    assert _bench.run("ring", quick=True) == [{"name": "threads", "measured": "1", "target": None, "met": True}]
    with pytest.raises(_bench.BenchmarkError, match="stopped with code 3"):
        _bench.run("cube")


NAMES_SINCE_THE_FIRST_RELEASE = """fem ring suite growth cube random transfer imports dmm dmm-fem dmm-pairs published
    hypino mmpde peers""".split()


def test_every_name_of_a_benchmark_finds_a_module_that_runs_as_one():
    for name in NAMES_SINCE_THE_FIRST_RELEASE:
        assert len(_bench.named([name])) == 1
    for benchmark in _bench.found().values():
        text = (_bench.folder().parent / f"{benchmark.module.replace('.', '/')}.py").read_text()
        assert benchmark.title and 'if __name__ == "__main__":' in text, benchmark.module


def test_a_benchmark_is_found_by_its_place_and_says_whether_it_runs_unasked(tmp_path, monkeypatch):
    monkeypatch.setattr(_bench, "folder", lambda: tmp_path)
    for place, text in {
        "adapting/by_hand": '"""By hand.\n\nMore."""\n\n\ndef run(quick): ...',
        "fluids/run": '"""Fluids."""\n\nBY_DEFAULT = False\n\n\ndef run(quick): ...',
        "fluids/long_wake": '"""A wake."""\n\n\ndef run(quick): ...',
        "fluids/cases": '"""No benchmark: what they share."""\n\n\ndef wake(): ...',
        "harness": '"""In no folder."""\n\n\ndef run(quick): ...',
    }.items():
        path = tmp_path / f"{place}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert _bench.found() == {
        "by-hand": _bench.Benchmark("benchmarks.adapting.by_hand", "By hand", True),
        "fluids": _bench.Benchmark("benchmarks.fluids.run", "Fluids", False),
        "fluids-long-wake": _bench.Benchmark("benchmarks.fluids.long_wake", "A wake", True),
    }
    assert list(_bench.named([])) == ["by-hand", "fluids-long-wake"]


def test_help_and_the_module_entry_point():
    done = subprocess.run([sys.executable, "-m", "meshmove", "--help"], capture_output=True, text=True, check=True)
    for command in ("adapt", "info", "demo", "bench"):
        assert command in done.stdout
