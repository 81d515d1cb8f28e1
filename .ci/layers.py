"""The layers, checked on an installed copy: plugins -> solvers -> meshmove's own modules -> geometry.

The contract is written from what is installed, so that a new module of meshmove joins its layer by itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

FLOORS = ("plugins", "solvers", "geometry")
#: what the ground floor, and what every module but plugins, must not import, not even within a function
NOT_IN_GEOMETRY = ("torch", "torch_geometric", "meshio", "pyvista", "vtk", "matplotlib", "pyamg")
NOT_BELOW_PLUGINS = ("pyvista", "vtk")

CONFIG = """\
[importlinter]
root_package = meshmove
include_external_packages = True

[importlinter:contract:layers]
name = plugins -> solvers -> meshmove -> geometry
type = layers
layers =
    meshmove.plugins
    meshmove.solvers
    {own}
    meshmove.geometry

[importlinter:contract:ground-floor]
name = geometry needs no more than NumPy, SciPy and shapely
type = forbidden
source_modules = meshmove.geometry
forbidden_modules =
    {not_in_geometry}
allow_indirect_imports = True

[importlinter:contract:libraries]
name = the library for pictures is known to plugins only
type = forbidden
source_modules =
    {own_lines}
    meshmove.geometry
forbidden_modules =
    {not_below_plugins}
allow_indirect_imports = True
"""


def main(folder: str) -> int:
    package = Path(folder, "meshmove")
    found = {
        p.stem if p.suffix else p.name for p in package.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()
    }
    own = sorted(f"meshmove.{name}" for name in found - {*FLOORS, "__init__", "__pycache__"})
    text = CONFIG.format(
        own=" : ".join(own),
        own_lines="\n    ".join(own),
        not_in_geometry="\n    ".join(NOT_IN_GEOMETRY),
        not_below_plugins="\n    ".join(NOT_BELOW_PLUGINS),
    )
    with tempfile.TemporaryDirectory() as temporary:
        config = Path(temporary, "layers.ini")
        config.write_text(text)
        # of an editable install and the copy, the copy must come first
        environment = {**os.environ, "PYTHONPATH": str(Path(folder).resolve())}
        command = [str(Path(sys.executable).parent / "lint-imports"), "--config", str(config), "--no-cache"]
        return subprocess.run(command, cwd=temporary, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
