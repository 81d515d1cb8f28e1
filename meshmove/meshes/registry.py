"""Which converter belongs to a mesh: found by the name of the library that the mesh's class comes from.

A library joins through the entry-point group ``meshmove.meshes``::

    [project.entry-points."meshmove.meshes"]
    mylib = "mylib.meshmove_plugin:converter"

The entry's name is the top-level module of its mesh classes, so looking at a mesh imports one converter only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.errors import UnsupportedMeshError
from meshmove.geometry.mesh import CellMesh

__all__ = ["GROUP", "Converter", "converter_for", "known", "named", "register"]

GROUP = "meshmove.meshes"


@runtime_checkable
class Converter(Protocol):
    """What meshmove asks of a mesh library. Conversions are pure: no input is ever changed.

    Further methods are optional. ``node_values(mesh, field)`` evaluates a field of the library's own kind (for
    scikit-fem a pair ``(basis, dofs)``) at the nodes, (n_nodes,) or (n_nodes, k), and ``element(mesh, field)`` names
    the element that such a field is of, with its degree: 1 or 2, or None where its errors cannot be predicted.
    ``cell_values(mesh, field, points)`` gives such a field of quadratic elements at reference coordinates (dim, points)
    of every cell: (k, cells, points).
    ``cell_fields(mesh)`` gives cell data by name, each (n_cells, ...) in the order of `read`.
    ``writer(mesh, suffix)`` returns a function that writes the mesh to a path of that suffix by the library's own
    means, or None.
    Where it has `node_values`, these may come with it: ``check_field(mesh, field)`` returns warnings about such a
    field, or raises a `FieldError`; ``carried(mesh, moved, field, find, linear)`` returns it on the moved mesh in the
    library's form, `find` telling where points (m, dim) of the moved mesh lie in `mesh`, and `linear` being a transfer
    of vertex values that keeps integrals, or None; ``keeps_integrals(mesh, field)`` says whether it is used.
    ``owns(field)`` says which fields are of the library's own kind, where these are no pairs, and
    ``gone_along(mesh, moved, field)`` gives such a field with its degrees of freedom as they are, on the moved mesh.
    ``vertex_numbers(mesh)`` gives, for a periodic mesh, the number (n_vertices,) of each vertex, shared by its images.
    ``reader(suffix)`` returns a function that reads a file of that suffix, which meshio does not read, as a
    `meshio.Mesh`, or None.
    ``energy(form)`` returns a form of the library as an `EnergyOfMesh` (see `adaptation/loops/energy.py`), or None for
    what is no form. ``goal(form, adjoint)`` returns a function of mesh and field that gives a goal's value and its
    adjoint solution.
    ``packed(mesh)`` gives the name of a mesh's class and a dict of what it is made from (arrays, numbers, words, dicts
    and tuples of them), and ``unpacked(kind, parts)`` the mesh again: for `MovingMesh.save`.
    ``made_of(cells)`` makes a mesh of a `CellMesh`, ``collection(grids)`` one object of several meshes by name, and
    ``animate(trajectory, path, **options)`` a film, as ``film(moving, path, field, **options)`` does of a loop;
    PyVista's has them, for pictures.
    """

    def read(self, mesh: Any) -> CellMesh:
        """The mesh as plain arrays, vertices compressed to those that top-dimensional cells use."""
        ...

    def write(self, mesh: Any, displacement: NDArray[np.float64]) -> Any:
        """A new mesh of the same class, its nodes displaced by (n_nodes, dim), all else as it was."""
        ...

    def fields(self, mesh: Any) -> dict[str, NDArray]:
        """Point data by name, each (n_nodes, ...)."""
        ...

    def with_fields(self, mesh: Any, fields: Mapping[str, NDArray]) -> Any:
        """A copy with these point data set; point data of other names stay. The mesh itself where it has none."""
        ...

    def dtype(self, mesh: Any) -> np.dtype:
        """How the mesh stores coordinates: float32 rounds what `write` is given."""
        ...

    def to_meshio(self, mesh: Any) -> Any:
        """The mesh as a `meshio.Mesh`, for `meshmove.save`."""
        ...


_registered: dict[str, Converter] = {}
_loaded: dict[EntryPoint, Converter] = {}
_by_class: dict[type, Converter] = {}  # reading the metadata of all installed packages takes milliseconds


def register(name: str, converter: Converter) -> None:
    """Use `converter` for classes of the top-level module `name`, before any entry point of that name.

    Parameters
    ----------
    name
        Top-level module of the mesh classes, ``"__main__"`` for those of a script or notebook.
    converter
        An object with the methods of `Converter`.

    Raises
    ------
    TypeError
        The object lacks a method of `Converter`, or the name is not a top-level module's.
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise TypeError(f"Expected the name of a top-level module, such as 'mylib' (got {name!r})")
    _check(converter, f"the converter registered for {name!r}")
    _registered[name] = converter
    _by_class.clear()


def known() -> list[str]:
    """Names of the libraries whose meshes can be moved, sorted.

    >>> "skfem" in known() and "meshio" in known()
    True
    """
    return sorted({*_registered, *entry_points(group=GROUP).names})


def converter_for(mesh: Any) -> Converter:
    """The converter of the library that the class of `mesh`, or one of its bases, comes from.

    Raises
    ------
    UnsupportedMeshError
        No converter knows the class; the message lists the libraries that are known.

    Examples
    --------
    >>> import meshio, numpy as np
    >>> mesh = meshio.Mesh([[0, 0], [1, 0], [0, 1.0]], [("triangle", [[0, 1, 2]])])
    >>> converter_for(mesh).read(mesh)
    CellMesh(2-D: 3 points, 1 triangle)
    """
    if type(mesh) not in _by_class:
        _by_class[type(mesh)] = _find(mesh)
    return _by_class[type(mesh)]


def named(name: str) -> Converter:
    """The converter of the library of this name, whether or not there is a mesh of it yet.

    Raises
    ------
    UnsupportedMeshError
        No library has joined under this name.

    Examples
    --------
    >>> import meshio, numpy as np
    >>> named("meshio") is converter_for(meshio.Mesh(np.eye(3), [("triangle", [[0, 1, 2]])]))
    True
    """
    if name in _registered:
        return _registered[name]
    for entry in entry_points(group=GROUP).select(name=name):
        return _loaded_converter(entry)
    raise UnsupportedMeshError(f"Expected one of the libraries {', '.join(known())} (got {name!r})")


def _loaded_converter(entry: EntryPoint) -> Converter:
    if entry not in _loaded:
        converter = _load(entry)
        _check(converter, f"the entry point {entry.name} = {entry.value!r}")
        _loaded[entry] = converter
    return _loaded[entry]


def _find(mesh: Any) -> Converter:
    roots = list(dict.fromkeys(c.__module__.partition(".")[0] for c in type(mesh).__mro__ if c is not object))
    for root in roots:
        if root in _registered:
            return _registered[root]
    installed = entry_points(group=GROUP)
    for root in roots:
        for entry in installed.select(name=root):
            return _loaded_converter(entry)
    cls = type(mesh)
    raise UnsupportedMeshError(
        f"Expected a mesh of one of {', '.join(known())} (got {cls.__module__}.{cls.__qualname__}). "
        f"Other libraries join through the entry-point group {GROUP!r} or meshmove.meshes.registry.register()"
    )


def _load(entry: EntryPoint) -> Converter:
    loader: Callable[[], Converter] = entry.load
    try:
        return loader()
    except (ImportError, AttributeError) as error:
        raise UnsupportedMeshError(
            f"Expected the entry point {entry.name} = {entry.value!r} of group {GROUP!r} to load "
            f"(got {type(error).__name__}: {error}). Try reinstalling the package that declares it"
        ) from error


def _check(converter: object, what: str) -> None:
    required = ("read", "write", "fields", "with_fields", "dtype", "to_meshio")
    missing = [m for m in required if not callable(getattr(converter, m, None))]
    if missing:
        raise TypeError(f"Expected {what} to have the methods {', '.join(required)} (missing: {', '.join(missing)})")
