#!/usr/bin/env bash
# Shared libraries that the wheels of VTK and Gmsh expect of the system, installed only where they are missing.
set -euo pipefail
python=$1
probe='import gmsh, pyvista; pyvista.Plotter(off_screen=True).close()'

if "$python" -c "$probe" 2>/dev/null; then
  echo "present"
elif command -v apt-get >/dev/null; then
  sudo=$([ "$(id -u)" = 0 ] || echo sudo)
  export DEBIAN_FRONTEND=noninteractive
  $sudo apt-get update -qq
  $sudo apt-get install -qq -y --no-install-recommends \
    libgl1 libglu1-mesa libegl1 libxrender1 libxcursor1 libxft2 libxinerama1 libxfixes3 libfontconfig1 >/dev/null
  "$python" -c "$probe"
  echo "installed"
else
  "$python" -c "$probe"
fi
