"""`Solution`: a function that solves a linear problem, with its derivatives, its residual and its estimated error."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from meshmove.geometry.arrays import Array
from meshmove.geometry.errors import UnsupportedMeshError
from meshmove.geometry.given import chosen, real
from meshmove.geometry.mesh import CellMesh
from meshmove.meshes.registry import converter_for, named
from meshmove.notebook import table
from meshmove.solvers.pde import ProblemError, Statement
from meshmove.solvers.projection.field import Field, as_array

from .estimate import estimate_error

__all__ = ["Solution", "Verification"]


#: points this near to the boundary, relative to the extent, belong to the domain
EDGE = 1e-6
#: half the step of the difference that gives uxy, relative to the extent: truncation and rounding are about 1e-8
MIXED = 1e-4


@dataclass(frozen=True)
class Verification:
    """A solution against finite elements: `relative_l2` and the largest difference at the degrees of freedom relative
    to the largest value, `unknowns` of the finite elements and the `seconds` that they took.
    """

    relative_l2: float
    relative_max: float
    unknowns: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"differs from finite elements ({self.unknowns} unknowns, {self.seconds:.2f} s) "
            f"by {self.relative_l2:.1e} in L2, {self.relative_max:.1e} at most"
        )


class Solution:
    """A solution in the problem's own coordinates; a field for `adapt`, since it is a function of points x (2, n).

    Parameters
    ----------
    pde
        The problem.
    field
        The function in unit coordinates: ``jets(X) -> (5, n)``, value, dX, dY, dXX, dYY.
    history
        What led to it: grids of a projection, rounds of refinement.
    estimate
        Relative L2 error as estimated; by default it is estimated when asked for.
    doubts
        Sentences on what it does not resolve, and what to try: see `error_estimate`.
    how
        A word for how it was found.
    emitted
        The networks of all rounds, if any.

    >>> from meshmove.geometry import Rectangle
    >>> from meshmove.solvers.pde import Dirichlet, LinearPDE
    >>> from meshmove.solvers import project
    >>> pde = LinearPDE(Rectangle((0, 0), (1, 1), "all"), uxx=-1, uyy=-1, source=1, conditions={"all": Dirichlet()})
    >>> solution = project(pde)
    >>> solution(np.array([[0.5], [0.5]])).round(6)
    array([0.073671])
    >>> solution.gradient(np.array([[0.5], [0.5]])).shape, solution.error_estimate < 1e-4
    ((2, 1), True)
    """

    def __init__(
        self,
        pde: Statement,
        field: Field,
        *,
        history: Sequence[Any] = (),
        estimate: float | None = None,
        doubts: Sequence[str] = (),
        how: str = "given",
        emitted: Any = None,
    ) -> None:
        self.pde, self.field, self.how, self.emitted = pde, field, how, emitted
        self.history, self.doubts = tuple(history), tuple(doubts)
        self._estimate = estimate

    # ---- values
    def jets(self, x: ArrayLike, outside: str = "extend") -> Array:
        """u, ux, uy, uxx, uyy at points (2, ...), shape (5, ...); t in the place of y in time problems.

        Further terms of the equation, such as uxy, have their derivatives after these, in the order of ``pde.terms``.

        Parameters
        ----------
        outside
            What points beyond the domain's boundary get, in holes too: "extend", the formula's numbers there, which
            solve nothing but carry on smoothly, so that nodes of meshes a little beyond a curved boundary have values;
            or "nan". Points nearer to the boundary than a millionth of the domain's extent are in it.
        """
        chosen(outside, ("extend", "nan"), "outside", ProblemError)
        x = _points(x)
        unit = self.pde.unit
        jets = as_array(self.field.jets(unit.to_unit(x.reshape(2, -1)))) / unit.powers[:, None]
        if outside == "nan":
            domain = self.pde.domain
            jets[:, domain.signed_distance(x.reshape(2, -1)) > EDGE * domain.boundary.extent] = np.nan
        return jets.reshape(len(jets), *x.shape[1:])

    def __call__(self, x: ArrayLike, outside: str = "extend") -> Array:
        """Values (n,) at points (2, n); NaN beyond the boundary with ``outside="nan"``, see `jets`."""
        return self.jets(x, outside)[0]

    def gradient(self, x: ArrayLike, outside: str = "extend") -> Array:
        """First derivatives (2, n) at points (2, n); `outside` as for `jets`."""
        return self.jets(x, outside)[1:3]

    def hessian(self, x: ArrayLike, outside: str = "extend") -> Array:
        """Second derivatives (2, 2, n) at points (2, n), which `adapt` aligns cells with; `outside` as for `jets`.

        uxx and uyy are those of the field; uxy, which not every field has, is the central difference of ux along y
        over a ten thousandth of the domain's extent.
        """
        x = _points(x)
        jets = self.jets(x, outside)
        if (1, 1) in self.pde.unit.along:
            mixed = jets[self.pde.unit.along.index((1, 1))]
        elif callable(own := getattr(self.field, "mixed", None)):  # cells know it, also beside an interface
            mixed = own(self.pde.unit.to_unit(x.reshape(2, -1))).reshape(x.shape[1:]) / self.pde.unit.half.prod()
            mixed = np.where(np.isnan(jets[3]), np.nan, mixed)
        else:
            step = MIXED * self.pde.domain.boundary.extent
            shift = np.reshape([0.0, step], (2, *[1] * (x.ndim - 1)))
            mixed = (self.jets(x + shift)[1] - self.jets(x - shift)[1]) / (2 * step)
            mixed = np.where(np.isnan(jets[3]), np.nan, mixed)
        return np.stack([np.stack([jets[3], mixed]), np.stack([mixed, jets[4]])])

    def residual(self, x: ArrayLike) -> Array:
        """L u - source (n,) at points (2, n)."""
        return self.with_residual(x)[1]

    def with_residual(self, x: ArrayLike) -> tuple[Array, Array]:
        """Values (n,) and L u - source (n,) at points (2, n): both for what one of them costs."""
        x = _points(x)
        jets = self.jets(x)
        return jets[0], (self.pde.coefficients_at(x) * jets).sum(axis=0) - self.pde.source_at(x)

    def boundary_residual(self, n: int = 1000) -> dict[str, float]:
        """Root mean square of what the conditions miss, by boundary name, at about n points of the exact boundary."""
        rows = self.pde.unit.boundary(n, seed=1)
        jets = as_array(self.field.jets(rows.points))[:3]
        missed = (rows.coefficients * jets).sum(axis=0) - rows.values
        return {
            str(name): float(np.sqrt((missed[rows.names == name] ** 2).mean()))
            for name in dict.fromkeys(rows.names.tolist())
        }

    # ---- trust
    @cached_property
    def error_estimate(self) -> float:
        """Estimated relative L2 error: what a fresh look at a projection tells; of others what `estimate_error` does.

        1 or more, or infinite: nothing is known of the error. Then, and wherever a projection's estimate is more than
        1 %, `doubts` say what it does not resolve, and what to try.
        """
        if self._estimate is not None:
            return self._estimate
        return estimate_error(self.pde, self.field)

    def verify(self, mesh: Any = None, size: float = 0.05) -> Verification:
        """Solve the same problem by finite elements of second order and compare.

        Parameters
        ----------
        mesh
            A mesh of the domain; by default triangles of `size`, relative to half the longer side of the box.
        """
        from meshmove.solvers.fem.linear import solve_finite_elements

        start = time.perf_counter()
        basis, dofs = solve_finite_elements(self.pde, mesh, size)
        seconds = time.perf_counter() - start
        x = np.asarray(basis.global_coordinates())
        theirs = np.asarray(basis.interpolate(dofs))
        difference = self(x) - theirs
        norm = float(np.sqrt((theirs**2 * basis.dx).sum()))
        nodes = np.asarray(basis.doflocs)
        at_nodes = np.abs(self(nodes) - dofs).max() / max(np.abs(dofs).max(), 1e-300)
        relative = float(np.sqrt((difference**2 * basis.dx).sum())) / max(norm, 1e-300)
        return Verification(relative, float(at_nodes), basis.N, seconds)

    # ---- other forms
    def to_skfem(self, basis: Any) -> Array:
        """Degrees of freedom of a basis of scikit-fem: nodal values for Lagrange elements, else the L2 projection."""
        if not hasattr(basis, "elem"):
            raise ProblemError(f"Expected a basis of scikit-fem (got {type(basis).__name__})")
        if all(name == "u" for name in getattr(basis.elem, "dofnames", [])):
            return self(np.asarray(basis.doflocs))
        return np.asarray(basis.project(lambda x: self(x)))

    def to_pyvista(self, mesh: Any) -> Any:
        """A PyVista mesh with the point data "solution", "gradient" and "residual".

        Parameters
        ----------
        mesh
            A PyVista mesh in a plane z = const, which is copied, or a plane mesh of another library.

        Raises
        ------
        UnsupportedMeshError
            The mesh is of no library that meshmove knows, or not in the plane.
        MissingPackageError
            PyVista is not installed.
        """
        pictures: Any = named("pyvista")
        theirs = converter_for(mesh)
        out = mesh.copy() if theirs is pictures else pictures.made_of(_plane(theirs.read(mesh)))
        x = np.asarray(out.points, float)[:, :2].T
        out.point_data["solution"] = self(x)
        out.point_data["gradient"] = np.concatenate([self.gradient(x), np.zeros((1, x.shape[1]))]).T
        out.point_data["residual"] = self.residual(x)
        return out

    def __repr__(self) -> str:
        known = self._estimate if self._estimate is not None else self.__dict__.get("error_estimate")
        error = "" if known is None else f", estimated relative error {known:.1e}"
        return f"Solution({self.how} in {len(self.history)} steps{error}; {self.pde!r})"

    def __str__(self) -> str:
        return "\n  ".join([repr(self), *self.doubts])

    def _repr_html_(self) -> str:
        known = self._estimate if self._estimate is not None else self.__dict__.get("error_estimate")
        rows = [("found", f"{self.how} in {len(self.history)} steps"), ("equation", repr(self.pde))]
        rows += [] if known is None else [("estimated relative error", f"{known:.1e}")]
        return table([*rows, *(("doubt", doubt) for doubt in self.doubts)], caption="Solution")


def _points(x: ArrayLike) -> Array:
    x = real(x, "points", "an array of shape (2, n)", ProblemError)
    if x.ndim < 2 or x.shape[0] != 2:
        raise ProblemError(f"Expected points of shape (2, n) (got {x.shape}); transpose an (n, 2) array")
    return x


def _plane(mesh: CellMesh) -> CellMesh:
    if mesh.dim != 2:
        raise UnsupportedMeshError(f"Expected a mesh in the plane (got {mesh!r})")
    return mesh
