"""Finite element functions of scikit-fem carried to the moved mesh, as dofs of the same kind of basis."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.arrays import Array
from meshmove.geometry.errors import FieldError
from meshmove.geometry.location import Location

from .bases import basis_on, fresh, pair_of
from .elements import HEX

if TYPE_CHECKING:
    import skfem

__all__ = ["carried", "is_broken", "is_linear"]


#: discontinuous functions are looked up this much inside of a cell, in parts of it, to find its own piece
INSIDE = 1e-6


def carried(
    mesh: skfem.Mesh,
    moved: skfem.Mesh,
    field: Any,
    find: Callable[[Array], Location],
    linear: Callable[[NDArray], NDArray] | None = None,
    means: Callable[[NDArray, NDArray | None], NDArray] | None = None,
) -> NDArray:
    """The dofs of a field on the moved mesh, for ``skfem.Basis(moved, elem)``.

    Lagrange elements of any degree, continuous or not, vectors and mixed ones take the old function's values at their
    points, within its range on the old cell. Others are projected in L2.

    Parameters
    ----------
    mesh, moved
        Before and after.
    field
        A pair of a basis on `mesh` and its dofs.
    find
        Where points (m, dim) of the moved mesh lie in `mesh`.
    linear
        A transfer of vertex values (n, k) that keeps integrals, used for linear elements.
    means
        One of the means (m, k) of cells with slopes (m, dim, k) or None, used for discontinuous elements that are
        constant, or linear on simplices.

    Raises
    ------
    FieldError
        As `pair_of`, and for elements that live on facets only.
    """
    from skfem import ElementComposite

    basis, dofs = pair_of(mesh, field)
    if np.array_equal(mesh.doflocs, moved.doflocs):
        return dofs.copy()
    if dofs.dtype.kind not in "fc":
        dofs = dofs.astype(float)
    if np.iscomplexobj(dofs):
        parts = (carried(mesh, moved, (basis, part), find, linear, means) for part in (dofs.real, dofs.imag))
        return (next(parts) + 1j * next(parts)).astype(dofs.dtype)
    if isinstance(basis.elem, ElementComposite):
        out = dofs.copy()
        for ids, (values, part) in zip(basis.split_indices(), basis.split(dofs), strict=True):
            out[ids] = carried(mesh, moved, (part, values), find, linear, means)
        return out
    return _Carried(moved, basis, dofs.astype(float), find, linear, means).dofs().astype(dofs.dtype)


class _Carried:
    def __init__(
        self, moved: skfem.Mesh, basis: Any, dofs: Array, find: Callable[[Array], Location], linear: Any, means: Any
    ) -> None:
        self.moved, self.old, self.values, self.find = moved, basis, dofs, find
        self.linear, self.means = linear, means
        self.elem = fresh(basis.elem)
        self.numbers = basis.dofs.element_dofs

    def dofs(self) -> Array:
        lattice = _lagrange(self.elem)
        if lattice is None:
            return self._projected()
        points, table, components = lattice
        if self.linear is not None and is_linear(self.old):
            out, ids = self.values.copy(), self.old.nodal_dofs[:, np.unique(self.old.mesh.t)].T
            out[ids] = self.linear(self.values[ids])
            return out
        if self.means is not None and is_broken(self.old):
            return self._of_cells(points, table, components)
        return self._interpolated(points, table, components)

    def _of_cells(self, points: Array, table: Array, components: int) -> Array:
        """Means as `means` gives them; about these the old function's slope, as far as the values around allow."""
        cells, count = self.moved.t.shape[1], len(points)
        values = self.values[self.numbers].reshape(count, components, cells)
        mean, slopes = values.mean(axis=0), None
        if count > 1:
            x = self.old.mapping.F(points.T)  # (dim, cells, points)
            across = np.linalg.inv((x[:, :, 1:] - x[:, :, :1]).transpose(1, 2, 0))
            slopes = np.einsum("mdp,pkm->mdk", across, values[1:] - values[:1])
        new = self.means(mean.T, slopes).T
        out = self.values.copy()
        if count == 1:
            out[self.numbers.reshape(count, components, cells)] = new
            return out
        found = self._interpolated(points, table, components)[self.numbers].reshape(values.shape)
        least, most = self._around(np.minimum(values.min(axis=0), new), np.maximum(values.max(axis=0), new))
        rise = found - found.mean(axis=0)
        room = np.where(rise > 0, most - new, new - least)
        share = np.divide(room, np.abs(rise), out=np.ones_like(rise), where=np.abs(rise) > room).min(axis=0)
        out[self.numbers.reshape(count, components, cells)] = new + share * rise
        return out

    def _around(self, low: Array, high: Array) -> tuple[Array, Array]:
        """Least and largest value (components, cells) on the cells that share a vertex with each."""
        t = self.moved.t
        least, most = np.full((len(low), t.max() + 1), np.inf), np.full((len(low), t.max() + 1), -np.inf)
        for k in range(len(low)):
            for nodes in t:
                np.minimum.at(least[k], nodes, low[k])
                np.maximum.at(most[k], nodes, high[k])
        return least[:, t].min(axis=1), most[:, t].max(axis=1)

    def _interpolated(self, points: Array, table: Array, components: int) -> Array:
        """Values at the points of the moved cells, turned into dofs by the inverse of the table of the basis there."""
        count, cells = len(points), self.moved.t.shape[1]
        mapping = self.moved.mapping()
        x = mapping.F(points.T)  # (dim, cells, points)
        centre = mapping.F(points.T.mean(axis=1, keepdims=True))
        inside = x + INSIDE * (centre - x) if self._broken() else x
        where = self.find(inside.reshape(len(x), -1).T)
        local = self._local(where)
        if self._broken():
            slope = self.old.mapping.invDF(local[:, :, None], tind=where.cells)[..., 0]
            local = local + np.einsum("ijm,jm->im", slope, (x - inside).reshape(len(x), -1))
        value = self._at(where.cells, local).reshape(components, -1)
        low, high = self._range(points, components)
        value = np.clip(value, low[:, where.cells], high[:, where.cells])
        found = np.einsum("ij,ckj->ick", np.linalg.inv(table), value.reshape(components, cells, count))
        out = self.values.copy()
        out[self.numbers.reshape(count, components, cells)] = found
        return out

    def _broken(self) -> bool:
        """Whether the function may jump between cells."""
        return not self.elem.nodal_dofs

    def _local(self, where: Location) -> Array:
        """Reference coordinates (dim, m) of places in cells."""
        corners = np.asarray(self.elem.refdom.p)
        corners = corners[:, HEX] if self.elem.refdom.name == "Hexahedral" else corners
        return corners @ where.weights[:, : corners.shape[1]].T

    def _at(self, cells: NDArray, local: Array) -> Array:
        """Values (..., m) of the old function at places (dim, m) of cells (m,)."""
        total: Any = 0.0
        for i in range(self.old.Nbfun):
            shape = self.elem.gbasis(self.old.mapping, local[:, :, None], i, tind=cells)[0]
            total = total + self.values[self.numbers[i, cells]] * np.asarray(shape)[..., 0]
        return total

    def _range(self, points: Array, components: int) -> tuple[Array, Array]:
        """Least and largest value (components, cells) on each old cell, of those at its dofs' points and vertices."""
        corners = np.asarray(self.elem.refdom.p).T
        scalar = _scalar(self.elem)
        table = np.stack([scalar.lbasis(np.concatenate([points, corners]).T, i)[0] for i in range(len(points))])
        shape = (len(points), components, -1)
        value = np.einsum("iq,ick->qck", table, self.values[self.numbers].reshape(shape))
        return value.min(axis=0), value.max(axis=0)

    def _projected(self) -> Array:
        from scipy.sparse import coo_matrix
        from scipy.sparse.linalg import splu

        new = basis_on(self.moved, self.old)
        x = new.mapping.F(new.X)
        where = self.find(x.reshape(len(x), -1).T)
        value = self._at(where.cells, self._local(where))
        value = value.reshape(*value.shape[:-1], *x.shape[1:])
        shapes = [np.asarray(f[0]) for f in new.basis]
        load = np.zeros(new.N)
        rows, columns, entries = [], [], []
        for i, a in enumerate(shapes):
            np.add.at(load, self.numbers[i], _inner(a, value, new.dx))
            for j, b in enumerate(shapes):
                rows.append(self.numbers[i])
                columns.append(self.numbers[j])
                entries.append(_inner(a, b, new.dx))
        data = np.concatenate(entries), (np.concatenate(rows), np.concatenate(columns))
        mass = coo_matrix(data, shape=(new.N, new.N)).tocsc()
        if not (mass.diagonal() > 1e-14 * np.abs(mass.diagonal()).max()).all():
            raise FieldError(
                f"Expected an element with a function inside of its cells (got {type(self.elem).__name__}, whose dofs "
                "cannot be carried). Solve on the moved mesh, or pass transfer=None"
            )
        return splu(mass).solve(load)


def is_linear(basis: Any) -> bool:
    """Whether dofs are values at the vertices of the mesh alone, once for each component."""
    e, found = basis.elem, _lagrange(basis.elem)
    if found is None or e.facet_dofs or e.edge_dofs or e.interior_dofs:
        return False
    return len(found[0]) == e.refdom.nnodes and np.array_equal(found[1], np.eye(len(found[1])))


def is_broken(basis: Any) -> bool:
    """Whether a function is of each cell alone: constant, or linear on simplices and given at their vertices."""
    e, found = basis.elem, _lagrange(basis.elem)
    if found is None or e.nodal_dofs or e.facet_dofs or e.edge_dofs:
        return False
    points, table, _ = found
    linear = len(points) == e.refdom.dim() + 1 == e.refdom.nnodes
    return len(points) == 1 or (linear and np.array_equal(table, np.eye(len(points))))


def _inner(a: Array, b: Array, dx: Array) -> Array:
    """Integrals (cells,) of products of values (..., cells, points)."""
    product = a * b
    return (product.reshape(-1, *product.shape[-2:]).sum(axis=0) * dx).sum(axis=1)


def _scalar(elem: Any) -> Any:
    """The scalar element of which a vector or broken one is made."""
    return _scalar(elem.elem) if "elem" in vars(elem) else elem


def _lagrange(elem: Any) -> tuple[Array, Array, int] | None:
    """Points (k, dim) of a cell, the table (k, k) of its basis functions there, and the number of components.

    None for elements that are not given by their values at points.
    """
    from skfem.element import ElementDG, ElementH1, ElementVector

    components = elem.dim if isinstance(elem, ElementVector) else 1
    inner = elem.elem if isinstance(elem, ElementVector | ElementDG) else elem
    if isinstance(inner, ElementDG):
        inner = inner.elem
    if not isinstance(inner, ElementH1):
        return None
    points = np.asarray(inner.doflocs, float)
    if not np.isfinite(points).all():
        return None
    table = np.stack([inner.lbasis(points.T, i)[0] for i in range(len(points))]) * np.ones(len(points))
    centre = points.mean(axis=0)[:, None] if len(points) > 1 else points.T
    if not any(np.any(inner.lbasis(centre, i)[0]) for i in range(len(points))):
        return None  # a function on facets alone
    regular = np.isfinite(table).all() and np.linalg.cond(table) < 1e6
    return (points, table.T, components) if regular else None
