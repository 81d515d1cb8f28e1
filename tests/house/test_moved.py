"""Old names of modules import what stands under the new ones, once, with a warning."""

import subprocess
import sys
from importlib import import_module

import pytest

from meshmove.moved import MOVED


@pytest.mark.parametrize("old", MOVED)
def test_old_names_are_the_new_modules(old):
    for name in [n for n in sys.modules if n == old or n.startswith(f"{old}.")]:
        del sys.modules[name]
    with pytest.warns(DeprecationWarning, match=f"{old} has moved to {MOVED[old]}"):
        assert import_module(old) is import_module(MOVED[old])


def test_what_lies_below_an_old_package_is_not_loaded_twice():
    code = (
        "from meshmove.geometry.boundary.slide import Slide; from meshmove.geometry import Slide as today;"
        "from meshmove.solvers.data.burgers import burgers_mesh; from meshmove.solvers.projection import project;"
        "import meshmove.solvers as s; print(Slide is today, project is s.project)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]
