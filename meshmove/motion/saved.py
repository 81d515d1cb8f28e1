"""A moving mesh in a file: plain arrays and words, from which it goes on to the bit; nothing in it is executed."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.errors import MeshmoveError, UnsupportedMeshError
from meshmove.geometry.sides import Places
from meshmove.meshes.files.io import MeshFileError
from meshmove.meshes.registry import converter_for, known, named
from meshmove.meshes.source import Source
from meshmove.monitors import Monitor
from meshmove.movers import Align, MongeAmpere, Smooth
from meshmove.whole_files import whole

from .boundary_motion import Base
from .following.course import Course, Place
from .following.pace import Seen
from .following.state import State

__all__ = ["read_state", "write_state"]


ABOUT, VERSION = "meshmove.MovingMesh", 1
#: objects that are kept field by field
CLASSES: dict[str, Callable[..., Any]] = {
    c.__name__: c for c in (State, Course, Place, Places, Seen, Monitor, MongeAmpere, Smooth, Align)
}
#: libraries whose converters pack their meshes
_PACKING = ("skfem", "meshio", "pyvista")


class _Foreign(MeshmoveError):
    """A value that a file of arrays and words does not hold."""


def write_state(path: str | os.PathLike[str], kept: Mapping[str, Any]) -> None:
    """What `MovingMesh.__getstate__` gives, but for the last step, to an .npz file: whole or not at all.

    Options that are functions or objects of the user's are left out; the file names them.

    Raises
    ------
    MeshFileError
        The folder cannot be written. It is an `OSError`.
    UnsupportedMeshError
        The mesh is of a library that does not say how it is packed.
    """
    arrays: dict[str, Any] = {}
    options, left_out = {}, []
    for name, value in kept["options"].items():
        try:
            options[name] = _packed(value, arrays)
        except _Foreign:
            left_out.append(name)
    base = kept["base"]
    tree = {
        "about": ABOUT,
        "version": VERSION,
        "options": options,
        "left_out": left_out,
        "first": _packed_mesh(kept["first"], arrays),
        "source": _packed_source(kept["source"], arrays),
        "state": _packed(kept["state"], arrays),
        "time": kept["time"],
        "base": None
        if base is None
        else {
            "source": _packed_source(base.source, arrays),
            "pinned": _packed(base.pinned, arrays),
            "unit": _packed(base.unit, arrays),
        },
    }
    try:
        with whole(path) as part, part.open("wb") as file:
            np.savez(file, tree=np.array(json.dumps(tree)), **arrays)
    except OSError as why:
        raise MeshFileError(f"Expected to be able to write '{path}' (got {why.strerror or why})") from why


def read_state(path: str | os.PathLike[str], options: Mapping[str, Any]) -> dict[str, Any]:
    """What `MovingMesh.__setstate__` takes; `options`: those that the file does not hold.

    Raises
    ------
    MeshFileError
        There is no such file, or it is damaged, or not one of these.
    ValueError
        An option that the file lacks is not given, or one is given that it holds.
    """
    if not Path(path).is_file():
        raise MeshFileError(f"Expected a file that a moving mesh was saved to (got '{path}': there is none)")
    try:
        with Path(path).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = dict(file)
        tree = json.loads(str(arrays.pop("tree")))
        if (tree["about"], tree["version"]) != (ABOUT, VERSION):
            raise KeyError(f"version {tree['version']} of {tree['about']}")
        mesh = _mesh(tree["first"], arrays)
        source, state = _source(tree["source"], arrays), _unpacked(tree["state"], arrays)
        base = None if tree["base"] is None else _base(tree["base"], arrays)
        held = {k: _unpacked(v, arrays) for k, v in tree["options"].items()}
        left_out, time = tree["left_out"], float(tree["time"])
    except (KeyError, ValueError, TypeError, AttributeError, OSError, EOFError, zipfile.BadZipFile) as why:
        raise MeshFileError(
            f"Expected a file that a moving mesh was saved to (got '{path}': {type(why).__name__}: {why})"
        ) from why
    _check_options(left_out, options)
    return {
        "options": held | dict(options),
        "first": mesh,
        "source": source,
        "state": state,
        "time": time,
        "last": None,
        "base": base,
    }


def _check_options(left_out: list[str], given: Mapping[str, Any]) -> None:
    missing = [name for name in left_out if name not in given]
    if missing:
        raise ValueError(
            f"Expected the options that a file does not hold, since they are objects of yours (missing: "
            f"{', '.join(missing)}). Pass them to MovingMesh.load"
        )
    more = [name for name in given if name not in left_out]
    if more:
        raise ValueError(
            f"Expected only options that the file lacks ({', '.join(left_out) or 'none'}; got {more[0]!r})"
        )


# -- values ------------------------------------------------------------------------------------------------------------


def _packed(value: Any, arrays: dict[str, NDArray]) -> Any:
    """A value as JSON, its arrays put among `arrays`."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, np.ndarray | np.generic) and np.asarray(value).dtype.kind in "biufcU":
        name = f"array{len(arrays)}"
        arrays[name] = np.asarray(value)
        return {"array": name}
    if isinstance(value, tuple | list):
        return {"tuple" if isinstance(value, tuple) else "list": [_packed(v, arrays) for v in value]}
    if isinstance(value, Mapping):
        return {"dict": [[_packed(k, arrays), _packed(v, arrays)] for k, v in value.items()]}
    if type(value) is CLASSES.get(type(value).__name__):
        parts = {f.name: _packed(getattr(value, f.name), arrays) for f in fields(value)}
        return {"class": type(value).__name__, "fields": parts}
    try:
        return _packed_mesh(value, arrays)
    except UnsupportedMeshError as why:
        raise _Foreign(str(why)) from why


def _unpacked(tree: Any, arrays: Mapping[str, NDArray]) -> Any:
    if not isinstance(tree, dict):
        return tree
    if "array" in tree:
        return arrays[tree["array"]]
    if "tuple" in tree:
        return tuple(_unpacked(v, arrays) for v in tree["tuple"])
    if "list" in tree:
        return [_unpacked(v, arrays) for v in tree["list"]]
    if "dict" in tree:
        return {_unpacked(k, arrays): _unpacked(v, arrays) for k, v in tree["dict"]}
    if "class" in tree:
        return CLASSES[tree["class"]](**{k: _unpacked(v, arrays) for k, v in tree["fields"].items()})
    return _mesh(tree, arrays)


# -- meshes ------------------------------------------------------------------------------------------------------------


def _packed_mesh(mesh: Any, arrays: dict[str, NDArray]) -> Any:
    converter: Any = converter_for(mesh)
    library = next((n for n in _PACKING if n in known() and named(n) is converter), None)
    if library is None:
        raise UnsupportedMeshError(
            f"Expected a mesh of one of {', '.join(_PACKING)} to save (got {type(mesh).__name__}). Try pickle"
        )
    kind, parts = converter.packed(mesh)
    return {"mesh": library, "kind": kind, "parts": _packed(parts, arrays)}


def _mesh(tree: Any, arrays: Mapping[str, NDArray]) -> Any:
    if tree["mesh"] not in _PACKING:
        raise KeyError(f"meshes of {tree['mesh']}")
    converter: Any = named(tree["mesh"])
    return converter.unpacked(tree["kind"], _unpacked(tree["parts"], arrays))


def _packed_source(source: Source, arrays: dict[str, NDArray]) -> Any:
    """A mesh, and its plain arrays as they are in memory: reading the mesh anew may round."""
    parts = (source.cells.points, source.cells.nodes, source.regions)
    return {"of": _packed_mesh(source.mesh, arrays), "cells": _packed(parts, arrays)}


def _source(tree: Any, arrays: Mapping[str, NDArray]) -> Source:
    points, nodes, regions = _unpacked(tree["cells"], arrays)
    source = Source.of(_mesh(tree["of"], arrays), regions)
    return replace(source, cells=replace(source.cells, points=points, nodes=nodes))


def _base(tree: Any, arrays: Mapping[str, NDArray]) -> Base:
    centre, scale = _unpacked(tree["unit"], arrays)
    return Base(_source(tree["source"], arrays), _unpacked(tree["pinned"], arrays), (centre, float(scale)))
