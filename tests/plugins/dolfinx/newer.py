"""What newer versions of DOLFINx (0.10, with UFL and Basix) look like to the plugin, for linear triangles.

A double, not a finite element library: tables are arrays, C++ objects are wrapped, `functionspace` is a function,
expressions take the mesh, and interpolation points are a property. What it computes is computed with NumPy.
"""

from __future__ import annotations

from enum import Enum
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

__all__ = ["modules", "square"]

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])


class Expr:
    ufl_shape: tuple[int, ...] = ()
    ufl_free_indices: tuple[int, ...] = ()


class Domain:
    def __init__(self, element: Any) -> None:
        self._element, self._ufl_cargo = element, None

    def ufl_coordinate_element(self) -> Any:
        return self._element

    def ufl_cargo(self) -> Any:
        return self._ufl_cargo


class CppGeometry:
    def __init__(self, x: np.ndarray, dofmap: np.ndarray) -> None:
        self.x, self.dofmap = x, dofmap


class Mesh_float64:  # noqa: N801 - as DOLFINx calls it
    def __init__(self, comm: Any, topology: Any, geometry: CppGeometry) -> None:
        assert isinstance(topology, CppTopology) and isinstance(geometry, CppGeometry)
        self.comm, self.topology, self.name = comm, topology, "mesh"
        self.geometry = CppGeometry(geometry.x.copy(), geometry.dofmap)  # as C++ copies it


class CppTopology:
    def __init__(self, cells: np.ndarray) -> None:
        self.cells = cells


class Topology:
    def __init__(self, inner: CppTopology) -> None:
        self._cpp_object, self.dim = inner, 2

    def cell_name(self) -> str:
        return "triangle"

    def index_map(self, dim: int) -> Any:
        return SimpleNamespace(size_local=len(self._cpp_object.cells), num_ghosts=0)


class Geometry:
    def __init__(self, inner: CppGeometry) -> None:
        self._cpp_object, self.dim = inner, 2

    @property
    def x(self) -> np.ndarray:
        return self._cpp_object.x

    @property
    def dofmap(self) -> np.ndarray:
        return self._cpp_object.dofmap

    @property
    def cmap(self) -> Any:
        return SimpleNamespace(degree=1)


class Mesh:
    def __init__(self, inner: Mesh_float64, domain: Domain) -> None:
        self._cpp_object, self._ufl_domain = inner, domain
        self.topology, self.geometry = Topology(inner.topology), Geometry(inner.geometry)
        domain._ufl_cargo = inner

    comm = property(lambda self: self._cpp_object.comm)
    name = property(lambda self: self._cpp_object.name, lambda self, v: setattr(self._cpp_object, "name", v))

    def ufl_domain(self) -> Domain:
        return self._ufl_domain


Mesh.__module__ = "dolfinx.mesh"


class Family(Enum):
    P = 1


class Space:
    def __init__(self, mesh: Mesh, element: Any) -> None:
        self.mesh, self._element = mesh, element
        self.dofmap = SimpleNamespace(list=mesh.geometry.dofmap[:, ::1], bs=1)
        basix = SimpleNamespace(family=Family.P, degree=1, discontinuous=False)
        self.element = SimpleNamespace(basix_element=basix, interpolation_points=CORNERS)

    def ufl_element(self) -> Any:
        return self._element

    def component(self) -> list[int]:
        return []


class Function(Expr):
    def __init__(self, space: Space, name: str = "f") -> None:
        self.function_space, self.name = space, name
        self.x = SimpleNamespace(array=np.zeros(len(space.mesh.geometry.x)), scatter_forward=lambda: None)

    def __call__(self, x: Any) -> Any:
        raise AssertionError("a function of DOLFINx is no function f(x)")

    def interpolate(self, f: Any) -> None:
        table = self.function_space.dofmap.list
        self.x.array[table.ravel()] = np.ravel(f(self.function_space.mesh.geometry.x[table.ravel()].T))

    def eval(self, x: np.ndarray, cells: np.ndarray) -> np.ndarray:
        corners = self.function_space.mesh.geometry.x[self.function_space.dofmap.list[cells], :2]
        slope = (corners[:, 1:] - corners[:, :1]).transpose(0, 2, 1)
        local = np.linalg.solve(slope, (x[:, :2] - corners[:, 0])[..., None])[..., 0]
        weights = np.column_stack([1 - local.sum(axis=1), local])
        return (weights * self.x.array[self.function_space.dofmap.list[cells]]).sum(axis=1, keepdims=True)


class Expression:
    def __init__(self, ufl_expression: Function, X: np.ndarray) -> None:  # noqa: N803
        self.ufl_expression, self._points = ufl_expression, X

    def X(self) -> np.ndarray:  # noqa: N802
        return self._points

    def eval(self, mesh: Mesh, entities: np.ndarray, values: Any = None) -> np.ndarray:
        assert isinstance(mesh, Mesh)
        weights = np.column_stack([1 - self._points.sum(axis=1), self._points])
        u = self.ufl_expression
        return u.x.array[u.function_space.dofmap.list[entities]] @ weights.T


def modules() -> dict[str, ModuleType]:
    """By name, what the plugin imports."""

    def module(name: str, **parts: Any) -> ModuleType:
        out = ModuleType(name)
        out.__dict__.update(parts)
        return out

    fem = module("dolfinx.fem", functionspace=Space, Function=Function, Expression=Expression)
    core = module("ufl.core", expr=SimpleNamespace(Expr=Expr))
    algorithms = SimpleNamespace(extract_arguments=lambda expression: [])
    domain = module("ufl.domain", extract_domains=lambda u: [u.function_space.mesh.ufl_domain()])
    basix = module(
        "basix",
        CellType=SimpleNamespace(triangle="triangle"),
        LagrangeVariant=SimpleNamespace(gll_warped=1),
        ElementFamily=Family,
        create_element=lambda family, cell, degree, variant: SimpleNamespace(points=CORNERS),
    )
    return {
        "dolfinx": module("dolfinx", fem=fem),
        "dolfinx.fem": fem,
        "ufl": module("ufl", core=core, algorithms=algorithms, domain=domain, Mesh=Domain),
        "ufl.core": core,
        "ufl.domain": domain,
        "basix": basix,
    }


def square(n: int = 8) -> Mesh:
    """The unit square."""
    x = np.array([[i / n, j / n, 0.0] for j in range(n + 1) for i in range(n + 1)])
    first = np.array([i + j * (n + 1) for j in range(n) for i in range(n)])
    low = np.stack([first, first + 1, first + n + 2], axis=1)
    high = np.stack([first, first + n + 1, first + n + 2], axis=1)
    cells = np.concatenate([low, high]).astype(np.int32)
    inner = Mesh_float64(SimpleNamespace(size=1, rank=0), CppTopology(cells), CppGeometry(x, cells))
    return Mesh(inner, Domain("P1"))
