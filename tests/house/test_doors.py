"""How the rooms of the house hang together: no private doors, every room packed, nothing imported by a string."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ("geometry", "meshmove", "solvers", "plugins")
#: where modules are found by their names: the registry's entry points, optional packages, the lazy faces of packages
BY_NAME = {
    "meshmove/moved.py",
    "meshmove/optional.py",
    "solvers/projection/__init__.py",
    "plugins/__init__.py",
}


def files(*folders):
    return [p for folder in folders for p in sorted((ROOT / folder).rglob("*.py"))]


def imports(path):
    """(module, name) of every ``from module import name``, relative ones with dots."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield from ((node.level, node.module or "", alias.name) for alias in node.names)


@pytest.mark.parametrize("folders", [SOURCE, ("benchmarks", "examples"), ("tests",)], ids=lambda f: f[0])
def test_no_import_of_a_private_name(folders):
    private = {
        f"{module}.{name}": path.relative_to(ROOT)
        for path in files(*folders)
        for level, module, name in imports(path)
        if level or module.split(".")[0] in ("meshmove", "benchmarks", "tests")
        if any(part.startswith("_") and not part.startswith("__") for part in (*module.split("."), name))
    }
    assert not private


def test_modules_are_not_imported_by_a_string():
    found = {str(p.relative_to(ROOT)) for p in files(*SOURCE) if "import_module(" in p.read_text()}
    assert found - BY_NAME == {"meshmove/meshes/files/own_meshio.py"}  # h5py, which meshio may lack


def test_every_folder_is_packed():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {p.parent.relative_to(ROOT) for p in files(*SOURCE)}
    names = {".".join(f.parts) if f.parts[0] == "meshmove" else ".".join(("meshmove", *f.parts)) for f in folders}
    assert set(listed) == names | {"meshmove.examples"}  # scripts: no package of theirs, but packed
    assert all((ROOT / f / "__init__.py").is_file() for f in folders)


def test_one_upward_import_breaks_the_contract(tmp_path):
    """The check of layers is no ornament: a copy with one arrow up, hidden in a function, is refused."""
    import shutil

    package = tmp_path / "meshmove"
    shutil.copytree(ROOT / "meshmove", package, ignore=shutil.ignore_patterns("weights", "__pycache__"))
    for folder in ("geometry", "solvers", "plugins"):
        shutil.copytree(ROOT / folder, package / folder, ignore=shutil.ignore_patterns("weights", "__pycache__"))
    check = [sys.executable, str(ROOT / ".ci" / "layers.py"), str(tmp_path)]
    assert subprocess.run(check, capture_output=True).returncode == 0
    with (package / "movers" / "smooth.py").open("a") as file:
        file.write("\n\ndef _up():\n    from meshmove.adaptation import adapt\n\n    return adapt\n")
    broken = subprocess.run(check, capture_output=True, text=True)
    assert broken.returncode != 0 and "meshmove.movers.smooth -> meshmove.adaptation" in broken.stdout


@pytest.mark.parametrize("folder", [*SOURCE, "benchmarks"])
def test_nothing_private_is_dead(folder):
    """What stands behind a private door is used in its own file, or it is not used at all."""
    for path in files(folder):
        text = path.read_text()
        made = (n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef | ast.ClassDef))
        private = [n.name for n in made if re.match("_[^_]", n.name) and not n.decorator_list]
        assert not [n for n in private if len(re.findall(rf"\b{n}\b", text)) < 2], path
