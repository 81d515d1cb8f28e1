"""Tests on several processes: make test-mpi starts them by mpiexec. On one process, or without DOLFINx, none runs."""

from __future__ import annotations

import contextlib
import os

import pytest

collect_ignore_glob = []
with contextlib.suppress(ImportError):  # before DOLFINx loads an HDF5 library of another version
    import h5py  # noqa: F401


def pytest_collection_modifyitems(items):
    here = os.path.dirname(__file__)
    several = int(os.environ.get("OMPI_COMM_WORLD_SIZE", "1")) > 1
    for item in items:
        if str(item.path).startswith(here):
            if not several:
                item.add_marker(pytest.mark.skip(reason="runs on several processes: make test-mpi"))
            for name in (
                "DeprecationWarning",
                "FutureWarning",
                "ResourceWarning",
                "pytest.PytestUnraisableExceptionWarning",
            ):  # of FFCx, which compiles C and leaves files open
                item.add_marker(pytest.mark.filterwarnings(f"ignore::{name}"))
