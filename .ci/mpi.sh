#!/usr/bin/env bash
# The tests on DOLFINx, on one process and on two: make test-mpi; with an argument the benchmark: make bench-mpi
#
# DOLFINx, PETSc and mpi4py come from the system, for its own Python, and so does what they need: NumPy 1. The package
# and the rest are put into an environment of their own, without torch and VTK, which nothing here needs.
set -euo pipefail
cd "$(dirname "$0")/.."
export OMP_NUM_THREADS=1 DEBIAN_FRONTEND=noninteractive OMPI_MCA_mpi_yield_when_idle=1
export OMPI_MCA_plm_rsh_agent=sh # Open MPI wants one to be there, though all processes are on this machine
system=/usr/bin/python3
venv=.venv-mpi
packages=(python3-dolfinx-real python3-petsc4py-real python3-mpi4py python3-venv)

without() {
  echo "no tests on DOLFINx: $1"
  exit 0
}

present() { "$system" -c 'import dolfinx, petsc4py, mpi4py, ensurepip' 2>/dev/null && command -v mpiexec >/dev/null; }

if ! present; then
  command -v apt-get >/dev/null || without "it is not installed, and there is no apt-get to install it"
  sudo=$([ "$(id -u)" = 0 ] || echo "sudo -n")
  $sudo apt-get update -qq >/dev/null 2>&1 || without "apt-get cannot update its lists here"
  $sudo apt-get install -qq -y --no-install-recommends "${packages[@]}" >/dev/null 2>&1 ||
    without "apt-get cannot install ${packages[*]} here"
  present || without "${packages[*]} are installed, and cannot be imported"
fi
"$system" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  without "the system's Python is $("$system" -V), meshmove needs 3.11"

if [ ! -e $venv/.installed ] || [ pyproject.toml -nt $venv/.installed ]; then
  "$system" -m venv --system-site-packages $venv
  $venv/bin/python -m pip install --quiet --no-compile "numpy==1.26.4" "scipy<1.15" meshio h5py scikit-fem pyamg \
    shapely typer rich pytest hypothesis
  $venv/bin/python -m pip install --quiet --no-compile --no-deps -e .
  touch $venv/.installed
fi

on() { # on N processes, more than there are cores if need be
  local n=$1
  shift
  timeout 900 mpiexec --allow-run-as-root --oversubscribe -n "$n" "$venv/bin/python" "$@"
}

on 2 -c 'from mpi4py import MPI; MPI.COMM_WORLD.barrier()' || without "mpiexec cannot start two processes here"

if [ "${1:-}" = bench ]; then
  exec "$venv/bin/python" -m benchmarks.mpi.run "${@:2}"
fi

pytest=(-m pytest -p no:cacheprovider)
"$venv/bin/python" "${pytest[@]}" tests/plugins/dolfinx
on 2 "${pytest[@]}" tests/mpi
for example in examples/dolfinx/*.py; do
  "$venv/bin/python" "$example"
  on 2 "$example"
done
