"""``mpiexec -n N meshmove adapt``: a mesh that all processes read, move and write together."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from meshmove.optional import require

from .arguments import check_folder
from .console import errors, say, set_talk, tell, working
from .expressions import Expression

__all__ = ["adapt_together", "on_first", "processes"]

#: what OpenMPI, and MPICH and its kin, say of how many processes were started together
COUNTS = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS")


def processes() -> int:
    """How many processes were started together, by the environment.

    >>> processes() >= 1
    True
    """
    found = [os.environ[name] for name in COUNTS if os.environ.get(name, "").isdigit()]
    return max(1, *map(int, found)) if found else 1


@contextlib.contextmanager
def on_first(rank: int) -> Iterator[None]:
    """The first process speaks for all: what goes wrong on one is raised on all of them."""
    if rank == 0:
        with errors():
            yield
        return
    set_talk(quiet=True, verbose=False)
    try:
        yield
    except Exception as error:
        raise typer.Exit(1) from error


def adapt_together(
    path: Path, out: Path, field: str | None, transfer: str | None, as_json: bool, refused: dict[str, Any], **how: Any
) -> None:
    """Read, move, write.

    Parameters
    ----------
    path, out
        XDMF files.
    field
        The name of point data, or a formula.
    refused
        Options that there are for one process only, by name, as they were given.
    how
        Options of `adapt`.
    """
    require("h5py")  # before DOLFINx loads an HDF5 library of another version
    comm = require("mpi4py.MPI").COMM_WORLD
    with on_first(comm.rank):
        given = [name for name, value in refused.items() if value]
        if given:
            raise ValueError(f"Expected no {given[0]} on {comm.size} processes. Move the mesh on one to use it")
        check_folder(out)
        if path.resolve() == out.resolve():
            raise ValueError(f"Expected another file than the mesh itself to write to (got '{out}')")
        _moved(comm, path, out, field, transfer, as_json, how)


def _moved(
    comm: Any, path: Path, out: Path, field: str | None, transfer: str | None, as_json: bool, how: dict[str, Any]
) -> None:
    from meshmove.plugins.dolfinx import adapt
    from meshmove.plugins.dolfinx.files import read_file, write_file

    with working(f"reading {path.name}"):
        stored = read_file(comm, path)
        mesh = stored.regions(how.pop("regions"))
        wanted = None
        if field is not None:
            by_name = field in stored.nodes or not Expression.like(field)
            wanted = stored.field(field) if by_name else Expression(field)
    with working("moving the mesh"):
        result = adapt(mesh, wanted, transfer=None, **how)
    with working(f"writing {out.name}"):
        names = [] if transfer is None else list(stored.nodes)
        write_file(out, result.mesh, [result.transfer(stored.field(name)) for name in names])
    if comm.rank == 0:
        say(json.dumps(asdict(result.report), indent=1) if as_json else str(result.report))
        if not as_json:
            tell(f"wrote {out}")
