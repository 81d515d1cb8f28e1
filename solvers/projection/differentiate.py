r"""Gradients of functionals of a projected solution with respect to the problem's data.

With rows A(c) w = r the weights are w = N^-1 A'r, N = A'A. For a functional J with gradient g = dJ/dw the adjoint is
one more solve with the same factor, l = N^-1 g, and

    dJ/dr = A l,    dJ/dc_i = s (D_i phi l) * rho - (A l) * s (D_i phi w),   rho = r - A w, s the rows' weights

(Golub & Pereyra, SIAM J. Numer. Anal. 10, 1973).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from meshmove.geometry.arrays import Array
from meshmove.solvers.pde import TERMS, LinearPDE, ProblemError

from .features.singular import corner_features
from .field import Expansion
from .grids import fit

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Projector"]


class Projector:
    """The projection on one grid as a differentiable map from source and coefficients to values of the solution.

    Parameters
    ----------
    pde
        The problem; its own source and coefficients are where the map starts.
    cells
        Cells of the grid to a side.

    Attributes
    ----------
    points
        Physical points (2, n) at which sources and coefficients are given.
    source, coefficients
        The problem's own, (n,) and (5, n), of (u, ux, uy, uxx, uyy).

    >>> import torch
    >>> from meshmove.geometry import Rectangle
    >>> from meshmove.solvers.pde import Dirichlet
    >>> pde = LinearPDE(Rectangle((0, 0), (1, 1), "all"), uxx=-1, uyy=-1, source=1, conditions={"all": Dirichlet()})
    >>> projector = Projector(pde, cells=8)
    >>> source = torch.ones(projector.points.shape[1], dtype=torch.float64, requires_grad=True)
    >>> middle = projector(np.array([[0.5], [0.5]]), source=source).sum()
    >>> middle.backward()
    >>> bool(torch.isclose((source.grad * source).sum(), middle))  # linear in the source
    True
    """

    def __init__(self, pde: LinearPDE, cells: int = 32) -> None:
        if cells < 2:
            raise ProblemError(f"Expected at least two cells to a side (got {cells})")
        if pde.extra:
            raise ProblemError(
                f"Expected an equation of the terms {', '.join(TERMS)} (got one with {', '.join(pde.extra)})"
            )
        self.unit = pde.unit
        self._fit = fit(self.unit, (cells, cells), corner_features(self.unit))
        equation = self._fit.equation
        self.points: Array = self.unit.to_physical(equation.points)
        self.source: Array = equation.source
        self.coefficients: Array = equation.coefficients * self.unit.powers[:, None]

    def __call__(self, x: Array, source: Tensor | None = None, coefficients: Tensor | None = None) -> Tensor:
        """Values (m,) of the solution at points x (2, m), differentiable in both arguments.

        Parameters
        ----------
        source
            (n,) at `points`; by default the problem's.
        coefficients
            (5,) or (5, n); by default the problem's.
        """
        import torch

        n = len(self.source)
        f = torch.as_tensor(self.source) if source is None else source
        c = torch.as_tensor(self.coefficients) if coefficients is None else coefficients
        if f.shape != (n,) or c.shape not in ((5,), (5, n)):
            raise ProblemError(
                f"Expected a source ({n},) and coefficients (5,) or (5, {n}) (got {tuple(f.shape)}, {tuple(c.shape)})"
            )
        c = c.reshape(5, -1).expand(5, n)
        return _function().apply(self, self.unit.to_unit(x), f, c)

    # ---- without torch
    def _system(self, coefficients: Array) -> tuple[Any, Array]:
        """The factorised system for physical coefficients (5, n), and those in unit coordinates."""
        from dataclasses import replace

        from .grids import columns_of
        from .least_squares import Arrow

        unit = coefficients / self.unit.powers[:, None]
        if np.array_equal(coefficients, self.coefficients):
            return self._fit.system, unit
        equation = replace(self._fit.equation, coefficients=unit)
        rows = self._fit.conditions
        columns = [columns_of(f, equation, rows) for f in self._fit.field.features]
        return Arrow(equation, rows.points, rows.coefficients, columns), unit

    def expansion(self, weights: Array) -> Expansion:
        """The function with these weights."""
        return Expansion(self._fit.field.splines, self._fit.field.features, weights)

    def functional(self, X: Array, g: Array) -> Array:
        """sum_i g_i phi(X_i) for all features phi."""
        from .features.singular import Local

        splines = self._fit.field.splines
        assert splines is not None
        value = np.zeros((5, X.shape[1]))
        value[0] = 1
        out = [splines.matrix(X, value).T @ g]
        for part in self._fit.field.features:
            at = part.support(X) if isinstance(part, Local) else np.arange(X.shape[1])
            out.append(part.jets(X[:, at])[0] @ g[at])
        return np.concatenate(out)


def _function() -> Any:
    import torch

    class Solve(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, projector: Projector, X: Array, source: Tensor, coefficients: Tensor) -> Tensor:
            f, c = (t.detach().cpu().numpy().astype(float) for t in (source, coefficients))
            system, unit = projector._system(c)
            equation = projector._fit.equation
            right = np.concatenate([f * equation.weights, projector._fit.conditions.values])
            weights = system.solve(right)
            ctx.kept = projector, X, system, weights, system.residual[: len(f)]
            return torch.as_tensor(projector.expansion(weights).jets(X)[0])

        @staticmethod
        def backward(ctx: Any, *grads: Tensor) -> tuple[None, None, Tensor, Tensor]:
            projector, X, system, weights, residual = ctx.kept
            equation, n = projector._fit.equation, len(residual)
            g = projector.functional(X, grads[0].cpu().numpy())
            z = system.adjoint(g)
            adjoint = z * system.scales
            down = system.apply(z)[:n]
            dual = projector.expansion(adjoint).jets(equation.points)
            primal = projector.expansion(weights).jets(equation.points)
            by_c = equation.weights * (dual * residual - primal * down)
            return (
                None,
                None,
                torch.as_tensor(down * equation.weights),
                torch.as_tensor(by_c / projector.unit.powers[:, None]),
            )

    return Solve
