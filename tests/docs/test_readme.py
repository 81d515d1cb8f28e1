"""Every Python block of the README and the documentation runs, in an empty folder."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from docs.making.tutorials import cells

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = PYTHON.findall(README)
PAGES = {
    f"{page.stem}{i}": code
    for page in sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("docs/guides/*.md")])
    for i, code in enumerate(PYTHON.findall(page.read_text(encoding="utf-8")))
}


def shell(page):
    return re.findall(r"^```sh\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_readme_shows_python():
    assert len(BLOCKS) >= 4


@pytest.mark.parametrize("code", PAGES.values(), ids=PAGES)
def test_python_block_of_the_documentation_runs(code, tmp_path, monkeypatch):
    if "pyvista" in code:
        pytest.importorskip("pyvista").OFF_SCREEN = True
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("meshmove.meshes.registry._registered", {})
    exec(compile(code, "docs", "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("notebook", sorted(ROOT.glob("docs/tutorials/*.ipynb")), ids=lambda path: path.stem)
def test_cells_of_a_notebook_run_one_after_the_other(notebook, tmp_path, monkeypatch):
    pytest.importorskip("pyvista").OFF_SCREEN = True
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    code = [cell for cell in cells(notebook) if cell["cell_type"] == "code"]
    for cell in code:
        exec(compile("".join(cell["source"]), notebook.name, "exec"), names)
        assert not [output for output in cell["outputs"] if output["output_type"] == "error"]
    assert sum("image/png" in output.get("data", {}) for cell in code for output in cell["outputs"]) == 1


@pytest.mark.parametrize("code", BLOCKS, ids=[f"block{i}" for i in range(len(BLOCKS))])
def test_python_block_runs(code, tmp_path, monkeypatch, capsys):
    if "pyvista" in code:
        pytest.importorskip("pyvista").OFF_SCREEN = True
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})
    for name in re.findall(r'(?:filename=|save\([^,]+, )"([^"]+)"', code):
        assert (tmp_path / name).stat().st_size > 0
    if "print(" in code:
        assert capsys.readouterr().out


@pytest.mark.parametrize(
    "page",
    ["README.md", "docs/quick_start.md", "docs/command_line.md", "docs/guides/gmsh.md", "docs/guides/results.md"],
)
def test_commands_run(page, tmp_path, monkeypatch):
    """Those of the page, on a smaller mesh under the names that it uses."""
    import numpy as np
    import skfem

    import meshmove
    from meshmove.cli.commands import main
    from meshmove.meshes.registry import converter_for
    from meshmove.meshes.series.files import write_series

    pytest.importorskip("pyvista").OFF_SCREEN = True
    commands = [shlex.split(line) for line in "".join(shell(page)).splitlines() if line.startswith("meshmove ")]
    assert {"info", "adapt"} <= {command[1] for command in commands}
    monkeypatch.chdir(tmp_path)
    square = skfem.MeshTri().refined(3)
    mesh = converter_for(square).to_meshio(square)
    mesh.point_data["u"] = np.tanh(9 * (mesh.points[:, 0] - 0.5))
    for name in ("channel.msh", "part.msh", "mesh.vtu"):
        meshmove.save(mesh, name)
    if "run.pvd" in (ROOT / page).read_text():
        write_series("run.pvd", [(0.0, mesh), (0.1, mesh)])
    for command in commands:
        monkeypatch.setattr("sys.argv", command)
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code in (None, 0), command
    assert all((tmp_path / name).stat().st_size > 0 for name in ("moved.vtu", "moved.png"))


def test_the_page_of_the_command_line_names_every_option():
    from typer.testing import CliRunner

    from meshmove.cli.commands import app

    text = (ROOT / "docs" / "command_line.md").read_text(encoding="utf-8")
    listed = CliRunner().invoke(app, ["adapt", "--help"], env={"COLUMNS": "200"}).stdout
    options = set(re.findall(r"(--[a-z-]+)", listed)) - {"--help", "--out"}
    assert options and not {option for option in options if option not in text}


def test_links_and_pictures_are_absolute_and_there():
    """As PyPI shows README.md on a page of its own."""
    base = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Source"]
    raw = base.replace("github.com", "raw.githubusercontent.com")
    targets = re.findall(r"\]\(([^)]+)\)", README)
    assert len(targets) > 5 and all(target.startswith("https://") for target in targets)
    for target in targets:
        for start in (f"{base}/blob/main/", f"{raw}/main/"):
            if target.startswith(start):
                assert (ROOT / target.removeprefix(start).partition("#")[0]).is_file(), target
    assert sum(target.startswith(raw) for target in targets) >= 1


def test_figures_are_those_that_were_recorded():
    from benchmarks import readme

    assert readme.written(README) == README, "run python -m benchmarks.readme"
    assert set(readme.recorded()) >= {"benchmarks.adapting.fem"}
