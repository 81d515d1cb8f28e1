"""The layers, checked on an installed copy by import-linter: arrows go down, nothing goes round in a circle.

A module that is new in one of the folders below joins its layer by itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

#: from top to bottom; what stands side by side is independent of each other
LAYERS = """
    __main__
    cli
    plugins
    solvers
    distributed
    motion
    adaptation
    neural
    procedural : samples : transfer
    learning : meshes : monitors : movers
    communicator : moved : notebook : optional : options : outcomes : progress : whole_files
    geometry
"""

SOLVERS = """
    hypino : mmpde : generators
    solution
    projection
    fem
    pde : data
"""

#: what geometry must not import, not even within a function, and what is known to plugins and the command line only
NOT_IN_GEOMETRY = ("torch", "torch_geometric", "meshio", "pyvista", "vtk", "matplotlib", "pyamg")
NOT_BELOW_PLUGINS = ("pyvista", "vtk")
PICTURES = ("__main__", "cli", "plugins")

CONFIG = """\
[importlinter]
root_package = meshmove
include_external_packages = True
exclude_type_checking_imports = True

[importlinter:contract:layers]
name = cli -> plugins -> solvers -> motion -> adaptation -> neural -> ... -> geometry
type = layers
containers = meshmove
exhaustive = True
layers ={layers}

[importlinter:contract:solvers]
name = hypino, mmpde, generators -> solution -> projection -> fem -> pde, data
type = layers
containers = meshmove.solvers
exhaustive = True
layers ={solvers}

[importlinter:contract:circles]
name = no circle between files or folders that stand side by side
type = acyclic_siblings
ancestors = meshmove

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
    {below_plugins}
forbidden_modules =
    {not_below_plugins}
allow_indirect_imports = True
"""


def main(folder: str) -> int:
    names = [f"meshmove.{name}" for name in LAYERS.replace(":", " ").split() if name not in PICTURES]
    text = CONFIG.format(
        layers=LAYERS.rstrip(),
        solvers=SOLVERS.rstrip(),
        below_plugins="\n    ".join(names),
        not_in_geometry="\n    ".join(NOT_IN_GEOMETRY),
        not_below_plugins="\n    ".join(NOT_BELOW_PLUGINS),
    )
    with tempfile.TemporaryDirectory() as temporary:
        config = Path(temporary, "layers.ini")
        config.write_text(text)
        # of an editable install and the copy, the copy must come first
        environment = {**os.environ, "PYTHONPATH": str(Path(folder).resolve())}
        command = [str(Path(sys.executable).parent / "lint-imports"), str(config), "--no-cache"]
        return subprocess.run(command, cwd=temporary, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
