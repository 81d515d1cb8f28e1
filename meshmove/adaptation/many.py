"""Many meshes, each adapted by itself, on any executor of `concurrent.futures`."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence, Sized
from concurrent.futures import Executor, Future
from contextlib import closing
from typing import Any

from meshmove.geometry import CellMesh, UnsupportedMeshError
from meshmove.meshes.registry import converter_for
from meshmove.options import count, shown
from meshmove.progress import progress_of

from .adapt import Adapting, check_options, lasting
from .failures import Caught, Failure, tried
from .result import Adaptation

__all__ = ["adapt_many"]

#: meshes that wait, or are done and not yet asked for, for each that is worked on
AHEAD = 2
_NONE = object()

Results = Generator[Adaptation | Failure, None, None]


def adapt_many(
    meshes: Any,
    fields: Any = None,
    *,
    executor: Executor | None = None,
    in_flight: int | None = None,
    errors: str = "return",
    progress: bool = False,
    **options: Any,
) -> Iterator[Adaptation | Failure]:
    """Adapt many meshes, each by itself: lazily, in the order in which they came, whatever becomes of one of them.

    A mesh is taken when there is room for it, and a result is handed over when it is asked for, so that of a
    generator of any length no more than `in_flight` meshes are there at a time.

    Parameters
    ----------
    meshes
        Meshes or paths, as `adapt` takes them; or one of them for all fields: without an executor what depends on
        the mesh alone is then prepared once, with the same results. Paths are read where the work is done.
    fields
        One field for each mesh, in any of the forms that `adapt` takes; or for all the name of point or cell data, or
        a function f(x). Not needed with a callable monitor.

    Other Parameters
    ----------------
    executor
        A `concurrent.futures.Executor`: threads, processes, ``mpi4py.futures.MPIPoolExecutor()``, Dask's
        ``client.get_executor()``. It is not shut down. None: one mesh after the other, here.
    in_flight
        How many meshes are handed out at a time; by default twice the number of the executor's workers, where it tells
        (threads, processes), else twice that of this machine's processors.
    errors
        "return": a mesh that fails is a `Failure` among the results. "raise": the first error is raised.
    progress
        Show a bar on standard error, where that is a terminal.
    options
        Of `adapt`, for all meshes.

    Yields
    ------
    Adaptation or Failure
        For each mesh what `adapt` gives back, or which one failed and why.

    Raises
    ------
    ValueError
        An option is not one of its choices; there are more meshes than fields, or fewer.
    TypeError
        What is to be gone through cannot be, or the executor is none.
    BrokenExecutor
        A worker died; the meshes that were being worked on are failures, handed over before.

    Examples
    --------
    >>> import meshmove, skfem
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> meshes = (skfem.MeshTri().refined(n) for n in (2, 3))
    >>> with ThreadPoolExecutor(2) as pool:
    ...     for out in meshmove.adapt_many(meshes, lambda x: x[0] ** 4, executor=pool):
    ...         print(out.mesh.p.shape, out.report.inverted_cells)
    (2, 25) 0
    (2, 81) 0
    """
    if executor is not None and not isinstance(executor, Executor):
        hint = "; of a Dask client it is client.get_executor()" if hasattr(executor, "get_executor") else ""
        raise TypeError(f"Expected a concurrent.futures.Executor (got {type(executor).__name__}{hint})")
    if errors not in ("return", "raise"):
        raise ValueError(f"Expected errors 'return' or 'raise' (got {shown(errors)})")
    check_options(options)
    room = _room(executor) if in_flight is None else count(in_flight, "a number of meshes in flight", low=1)
    work, total = _paired(meshes, fields)
    kept = lasting(options)
    once = Adapting.of(kept, alone=True) if executor is None and _is_mesh(meshes) else None
    results = _here(work, kept, once) if executor is None else _spread(work, kept, executor, room)
    return _delivered(results, errors, progress, total)


def _room(executor: Executor | None) -> int:
    """Meshes in flight: twice as many as are worked on at a time, where the executor says how many those are."""
    told = (getattr(executor, name, None) for name in ("num_workers", "_max_workers"))
    workers = next((n for n in told if isinstance(n, int) and n > 0), os.cpu_count() or 1)
    return AHEAD * workers


def _paired(meshes: Any, fields: Any) -> tuple[Iterator[tuple[Any, Any]], int | None]:
    """Each mesh with its field, and how many there are where that is known."""
    one_mesh, one_field = _is_mesh(meshes), fields is None or isinstance(fields, str) or callable(fields)
    if one_mesh and one_field:
        raise ValueError("Expected several meshes, or several fields for one (got one of each): use meshmove.adapt")
    for what, given, one in (("meshes", meshes, one_mesh), ("fields", fields, one_field)):
        if not one and (not isinstance(given, Iterable) or isinstance(given, Mapping)):
            hint = ": take its values()" if isinstance(given, Mapping) else ""
            raise TypeError(f"Expected {what} that can be gone through (got {type(given).__name__}{hint})")
    sizes = [len(g) for g, one in ((meshes, one_mesh), (fields, one_field)) if not one and isinstance(g, Sized)]
    if len(set(sizes)) > 1:
        raise ValueError(f"Expected a field for each mesh (got {sizes[0]} meshes and {sizes[1]} fields)")
    if one_mesh:
        return zip(itertools.repeat(meshes), fields), sizes[0] if sizes else None
    if one_field:
        return zip(meshes, itertools.repeat(fields)), sizes[0] if sizes else None
    return _both(meshes, fields), sizes[0] if sizes else None


def _both(meshes: Iterable[Any], fields: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    rest = iter(fields)
    number = 0
    for number, mesh in enumerate(meshes, 1):
        field = next(rest, _NONE)
        if field is _NONE:
            raise ValueError(f"Expected a field for each mesh (got {number - 1} fields and more meshes)")
        yield mesh, field
    if next(rest, _NONE) is not _NONE:
        raise ValueError(f"Expected a field for each mesh (got {number} meshes and more fields)")


def _is_mesh(given: Any) -> bool:
    """Whether this is one mesh, not several: of libraries, some let their meshes be gone through."""
    if isinstance(given, str | os.PathLike | CellMesh):
        return True
    if isinstance(given, Iterator | Sequence):
        return False
    try:
        converter_for(given)
    except UnsupportedMeshError:
        return False
    return True


def _here(work: Iterator[tuple[Any, Any]], options: Mapping[str, Any], once: Adapting | None) -> Results:
    """`once`: what moves one mesh for all fields, and keeps what depends on the mesh alone."""
    for number, (mesh, field) in enumerate(work):
        yield _result(number, mesh, tried(mesh, field, options, once))


def _spread(work: Iterator[tuple[Any, Any]], options: Mapping[str, Any], executor: Executor, room: int) -> Results:
    """In order. Where no more meshes can be had or handed out, those that were are done before that is raised."""
    waiting: deque[tuple[int, Any, Future]] = deque()
    end: Exception | None = None
    numbers = itertools.count()
    try:
        while end is None or waiting:
            while end is None and len(waiting) < room:
                try:
                    mesh, field = next(work)
                    waiting.append((next(numbers), mesh, _handed_out(executor, mesh, field, options)))
                except Exception as error:
                    end = error
            if waiting:
                number, mesh, future = waiting.popleft()
                yield _result(number, mesh, _done(future))
    finally:
        for _, _, future in waiting:
            future.cancel()
    if not isinstance(end, StopIteration):
        raise end


def _handed_out(executor: Executor, mesh: Any, field: Any, options: Mapping[str, Any]) -> Future:
    """The future of one mesh; what cannot be sent is a failure of this mesh, not of the executor."""
    try:
        return executor.submit(tried, mesh, field, options)
    except RuntimeError:  # among them BrokenExecutor: it takes no more
        raise
    except Exception as error:
        lost: Future = Future()
        lost.set_exception(error)
        return lost


def _done(future: Future) -> Adaptation | Caught:
    """What came of a mesh; whatever happened on its way there or back is caught, too."""
    try:
        return future.result()
    except Exception as error:
        return Caught(error)


def _result(number: int, mesh: Any, came: Adaptation | Caught) -> Adaptation | Failure:
    return Failure(number, mesh, came.error, came.trace) if isinstance(came, Caught) else came


def _delivered(results: Results, errors: str, progress: bool, total: int | None) -> Iterator[Adaptation | Failure]:
    with closing(results):
        for out in progress_of(results, "adapting", progress, total):
            if errors == "raise" and isinstance(out, Failure):
                out.error.add_note(str(out))
                raise out.error
            yield out
