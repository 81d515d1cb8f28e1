r"""Energies of scikit-fem's solutions: values, and their exact derivatives by degrees of freedom and by nodes.

An energy is a sum of integrals over cells or facets, as quadrature has them,

.. math::
    E(u, x) = \sum_q |J_q| \omega_q f(x_q, u_q, \nabla u_q),

with the degrees of freedom of u on one side and the positions of the nodes on the other. Where the nodes move with a
velocity V of the mesh's own shape functions and the degrees of freedom stay, x_q moves by V, |J_q| grows by div V, and
the gradient changes by -(grad u)(grad V). So, with Eshelby's tensor S,

.. math::
    dE = \int S : \nabla V + \partial_x f \cdot V \, dx,
    \qquad S = f I - (\nabla u)^T \frac{\partial f}{\partial \nabla u}.

That is the derivative of the sum itself, not of an integral that it stands for. On facets div V is that along them, and
the normal turns by -(grad V)^T n along it. The partial derivatives of f are central differences at every point: there f
is a function of a few numbers, and forms need not be written for any other means of differentiation.

Braun, Proc. Estonian Acad. Sci. Phys. Math. 46, 1997; Thoutireddy & Ortiz, Int. J. Numer. Meth. Engng. 61, 2004.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import skfem
from scipy.sparse import csc_matrix
from scipy.sparse.linalg import splu
from skfem.assembly.form.form import Form, FormExtraParams
from skfem.element import DiscreteField, ElementH1, ElementVector

from meshmove.geometry.arrays import Array
from meshmove.geometry.errors import FieldError

__all__ = ["Integral", "Term", "integrals", "is_form", "terms_of"]


#: of central differences, in parts of what is varied: the cube root of the rounding error
STEP = float(np.finfo(float).eps ** (1 / 3))


@dataclass(frozen=True)
class Term:
    """A form f(w) of ``w.x``, ``w["u"]`` and, on facets, ``w.n``, and where it is integrated (None: all cells).

    `intorder`: of the rule on facets, by default scikit-fem's.
    """

    form: Callable[[Any], Any]
    where: str | None = None
    intorder: int | None = None

    @property
    def name(self) -> str:
        return getattr(self.form, "__name__", "the form")


def is_form(part: Any) -> bool:
    """Whether something is one of scikit-fem's forms, of whatever kind."""
    return isinstance(part, Form)


def terms_of(energy: Any) -> tuple[Term, ...]:
    """The terms of a `skfem.Functional`, or of a sequence of such and pairs (Functional, name of where it is).

    A third of the latter is the order of quadrature on facets.

    Raises
    ------
    ValueError
        Anything else.
    """
    several = energy if isinstance(energy, list | tuple) else [energy]
    terms = []
    for term in several:
        form, where, order = (*term, None, None)[:3] if _is_placed(term) else (term, None, None)
        named = where is None or isinstance(where, str)
        if not isinstance(form, skfem.Functional) or not named or not (order is None or type(order) is int):
            raise ValueError(
                "Expected an energy as a skfem.Functional of w['u'], or a list of such and of pairs (Functional, name "
                f"of a boundary or subdomain) (got {type(form).__name__} on {where!r})"
            )
        assert form.form is not None
        terms.append(Term(form.form, where, order))
    if not terms:
        raise ValueError("Expected an energy of at least one skfem.Functional (got none)")
    return tuple(terms)


def _is_placed(term: Any) -> bool:
    return isinstance(term, list | tuple) and len(term) in (2, 3)


def integrals(terms: Sequence[Term], basis: skfem.CellBasis, dofs: Array) -> list[Integral]:
    """The terms on the quadrature points of a basis, or of its `boundary(name)`.

    Raises
    ------
    FieldError
        An element whose functions do not go along with the cells, or a name that the mesh does not have.
    """
    if not is_continuous(basis.elem.elem if isinstance(basis.elem, ElementVector) else basis.elem):
        raise FieldError(
            "Expected an element whose functions move with the cells and are continuous, so that their energy is a "
            "bound: a Lagrange element, one with bubbles, or ElementVector of these (got "
            f"{type(basis.elem).__name__})"
        )
    return [Integral(term, _placed(term, basis), dofs) for term in terms]


def is_continuous(elem: Any) -> bool:
    """Whether functions of an element are its own on each facet: none is felt there that belongs elsewhere.

    >>> is_continuous(skfem.ElementTriP2()), is_continuous(skfem.ElementTriMini()), is_continuous(skfem.ElementTriCR())
    (True, True, False)
    """
    if not isinstance(elem, ElementH1):
        return False
    domain, every = elem.refdom, set(range(elem.refdom.nnodes))
    parts = [*((elem.nodal_dofs, {k}) for k in every), *((elem.edge_dofs, set(e)) for e in domain.edges or [])]
    parts += [*((elem.facet_dofs, set(f)) for f in domain.facets), (elem.interior_dofs, every)]
    vertices = [part for count, part in parts for _ in range(count)]  # of what each function belongs to
    rng = np.random.default_rng(0)
    for facet in map(set, domain.facets):
        x = np.asarray(domain.p, float)[:, list(facet)] @ rng.dirichlet(np.ones(len(facet)), 8).T
        strange = (i for i, part in enumerate(vertices) if not part <= facet)
        if any(np.abs(elem.lbasis(x, i)[0]).max() > 1e-12 for i in strange):
            return False
    return True


def _placed(term: Term, basis: skfem.CellBasis) -> Any:
    mesh, where = basis.mesh, term.where
    if where is None:
        return basis
    if where in (mesh.boundaries or {}):
        return basis.boundary(where, intorder=term.intorder)
    if where in (mesh.subdomains or {}):
        return skfem.CellBasis(mesh, basis.elem, elements=where, quadrature=basis.quadrature)
    known = ", ".join(map(repr, [*(mesh.boundaries or {}), *(mesh.subdomains or {})])) or "none"
    raise FieldError(
        f"Expected the name of a boundary or subdomain for {term.name} (got {where!r}; the mesh has: {known})"
    )


class Integral:
    """A term on the quadrature points of a basis, at one solution."""

    def __init__(self, term: Term, basis: Any, dofs: Array) -> None:
        self._term, self._basis = term, basis
        self._facets = isinstance(basis, skfem.FacetBasis)
        u = basis.interpolate(np.asarray(dofs, float))
        self._given: dict[str, Array] = {
            "x": np.asarray(basis.global_coordinates()),
            "u": np.asarray(u),
            "grad": np.asarray(u.grad),
        }
        if self._facets:
            self._given["n"] = np.asarray(basis.normals)
        self._f = self._form(self._given)

    def _form(self, at: dict[str, Array]) -> Array:
        u = DiscreteField(at["u"], at["grad"])
        w = FormExtraParams({"u": u} | {name: DiscreteField(at[name]) for name in ("x", "n") if name in at})
        try:
            values = self._term.form(w)
        except (KeyError, AttributeError) as why:
            raise FieldError(
                f"Expected {self._term.name} to be a form of w['u'] and w.x alone, on facets of w.n, too "
                f"(it raised {type(why).__name__}: {why})"
            ) from why
        return np.broadcast_to(np.asarray(values, float), self._basis.dx.shape)

    @cached_property
    def value(self) -> float:
        return float((self._f * self._basis.dx).sum())

    def along(self, dofs: Array, share: float) -> float:
        """The value where `share` of a function with these degrees of freedom is added to the solution."""
        v = self._basis.interpolate(np.asarray(dofs, float))
        at = self._given
        moved = at | {"u": at["u"] + share * np.asarray(v), "grad": at["grad"] + share * np.asarray(v.grad)}
        return float((self._form(moved) * self._basis.dx).sum())

    def _partial(self, name: str) -> Array:
        """The derivative of the form by one of what it is given, of its shape."""
        given = self._given[name]
        scale = np.abs(given - (given.mean() if name == "x" else 0.0)).max(initial=0.0) or 1.0
        parts = given.reshape(-1, *self._basis.dx.shape)
        out = np.empty_like(parts)
        for k in range(len(parts)):
            values = []
            for step in (STEP * scale, -STEP * scale):
                varied = parts.copy()
                varied[k] += step
                values.append(self._form(self._given | {name: varied.reshape(given.shape)}))
            out[k] = (values[0] - values[1]) / (2 * STEP * scale)
        return out.reshape(given.shape)

    @cached_property
    def _by_u(self) -> Array:
        return self._partial("u")

    @cached_property
    def _by_grad(self) -> Array:
        return self._partial("grad")

    def by_dofs(self) -> tuple[Array, Array]:
        """The derivative (N,) by the degrees of freedom, and the sum of the sizes of what adds up to it."""
        basis = self._basis
        out, size = np.zeros(basis.N), np.zeros(basis.N)
        for k, (phi,) in enumerate(basis.basis):
            parts = [self._by_u * np.asarray(phi), self._by_grad * np.asarray(phi.grad)]
            parts = [p.reshape(-1, *basis.dx.shape).sum(axis=0) * basis.dx for p in parts]
            at = basis.element_dofs[k]
            out += np.bincount(at, sum(parts).sum(axis=1), basis.N)
            size += np.bincount(at, sum(np.abs(p) for p in parts).sum(axis=1), basis.N)
        return out, size

    def by_nodes(self) -> Array:
        """The derivative (n_nodes, dim) by the nodes of the mesh, the degrees of freedom staying as they are."""
        mesh, dx = self._basis.mesh, self._basis.dx
        d = mesh.dim()
        grad, by_grad = (a.reshape(-1, d, *dx.shape) for a in (self._given["grad"], self._by_grad))
        # S_cl = f delta_cl - sum_k g_kc P_kl, row c for the direction of the node's step
        eshelby = -np.einsum("kcxq,klxq->clxq", grad, by_grad)
        eshelby[np.arange(d), np.arange(d)] += self._f
        by_x = self._partial("x")
        if self._facets:
            eshelby += self._by_turning()
        out = np.zeros((mesh.p.shape[1], d))
        geometry = self._geometry
        for k, (shape,) in enumerate(geometry.basis):
            force = np.einsum("clxq,lxq->cxq", eshelby, np.asarray(shape.grad)) + by_x * np.asarray(shape)
            force = (force * dx).sum(axis=2)
            for c in range(d):
                out[:, c] += np.bincount(geometry.element_dofs[k], force[c], len(out))
        return out

    def _by_turning(self) -> Array:
        """What facets add to Eshelby's tensor: only what lies in the facet stretches it, and normals turn."""
        n = self._given["n"]
        by_n = self._partial("n")
        tangential = by_n - n * (by_n * n).sum(axis=0)
        return -self._f * np.einsum("cxq,lxq->clxq", n, n) - np.einsum("cxq,lxq->clxq", n, tangential)

    @cached_property
    def _geometry(self) -> Any:
        """The mesh's own shape functions, which carry its nodes, at the same points."""
        basis, mesh = self._basis, self._basis.mesh
        rule = {"quadrature": (basis.X, basis.W), "mapping": basis.mapping, "disable_doflocs": True}
        if self._facets:
            return skfem.FacetBasis(mesh, mesh.elem(), facets=basis.find, **rule)
        return skfem.CellBasis(mesh, mesh.elem(), elements=basis.tind, **rule)

    def gap(self) -> float:
        """How far the value is above the least one, as estimated by a smoother gradient (Zienkiewicz & Zhu 1987).

        To second order: half the curvature of the form along the difference to the continuous gradient closest to it.
        """
        if self._facets:
            return 0.0
        dx, grad = self._basis.dx, self._given["grad"]
        geometry = self._geometry
        used, at = np.unique(geometry.element_dofs, return_inverse=True)
        at, n = at.reshape(geometry.element_dofs.shape), len(used)
        shapes = np.stack([np.broadcast_to(np.asarray(s), dx.shape) for (s,) in geometry.basis])
        local = np.einsum("ixq,jxq,xq->ijx", shapes, shapes, dx)
        rows, columns = (np.broadcast_to(a, local.shape).ravel() for a in (at[:, None], at[None]))
        project = splu(csc_matrix((local.ravel(), (rows, columns)), shape=(n, n))).solve
        smooth = np.zeros_like(grad).reshape(-1, *dx.shape)
        for c, part in enumerate(grad.reshape(smooth.shape)):
            moments = np.bincount(at.ravel(), np.einsum("ixq,xq->ix", shapes, part * dx).ravel(), n)
            smooth[c] = np.einsum("ix,ixq->xq", project(moments)[at], shapes)
        change = smooth.reshape(grad.shape) - grad
        bent = sum(self._form(self._given | {"grad": grad + sign * change}) for sign in (1, -1)) - 2 * self._f
        return float(np.abs((bent * dx).sum()) / 2)
