"""Problems with known solutions for the comparison of peers: how each is meshed, solved, and judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.harness import square

import numpy as np  # isort: skip
import skfem
from numpy.typing import NDArray
from skfem.helpers import ddot, dot, grad, sym_grad, trace
from skfem.models.elasticity import lame_parameters, linear_elasticity
from skfem.models.poisson import laplace

from meshmove.geometry import Disk, Rectangle
from meshmove.solvers.fem.manufactured import PROBLEMS

__all__ = ["CASES", "Case", "poisson", "published_task"]

Array = NDArray[np.float64]
#: step of differences of exact solutions
STEP = 1e-5


@dataclass(frozen=True)
class Case:
    """`exact` (2, ...) -> (...) or (2, ...); `energy` as `adapt_loop` takes it; `refinable`: by its residual."""

    name: str
    mesh: skfem.MeshTri
    exact: Callable[[Array], Array]
    solve: Callable[[skfem.MeshTri], tuple[Any, Array]]
    energy: Any
    source: Callable[[Array], Array] | None = None

    def errors(self, mesh: skfem.MeshTri) -> tuple[float, float]:
        """Of the finite element solution in L2, and in the seminorm of H1."""
        basis, u = self.solve(mesh)
        basis = skfem.Basis(mesh, basis.elem, intorder=8)
        uh, x = basis.interpolate(u), np.asarray(basis.global_coordinates())
        off = self.exact(x) - np.asarray(uh)
        slope = slopes(self.exact, x) - np.asarray(uh.grad)
        return tuple(float(np.sqrt(((e**2).reshape(-1, *basis.dx.shape).sum(axis=0) * basis.dx).sum()))
                     for e in (off, slope))  # fmt: skip


def slopes(f: Callable[[Array], Array], x: Array) -> Array:
    """Central differences (..., 2, cells, points) of f at x (2, cells, points)."""
    out = []
    for k in range(2):
        step = np.zeros((2, 1, 1))
        step[k] = STEP
        out.append((f(x + step) - f(x - step)) / (2 * STEP))
    return np.stack(out, axis=-3)


def poisson(name: str, mesh: skfem.MeshTri, exact: Callable, source: Callable) -> Case:
    """-Laplace(u) = source with u on the boundary, by linear elements."""

    def solve(m: skfem.MeshTri) -> tuple[Any, Array]:
        basis = skfem.Basis(m, skfem.ElementTriP1(), intorder=6)
        load = skfem.LinearForm(lambda v, w: source(w.x) * v).assemble(basis)
        rim = m.boundary_nodes()
        x = basis.zeros()
        x[rim] = exact(m.p[:, rim])
        return basis, skfem.solve(*skfem.condense(laplace.assemble(basis), load, x=x, D=rim))

    energy = skfem.Functional(lambda w: 0.5 * dot(grad(w["u"]), grad(w["u"])) - source(w.x) * w["u"])
    return Case(name, mesh, exact, solve, energy, source)


def plate(size: float = 0.05, radius: float = 0.25) -> Case:
    """A quarter of Kirsch's plate with a hole under tension, exact tractions on its outer sides, plane strain."""
    young, nu = 1.0, 0.3
    lam, mu = lame_parameters(young, nu)
    kappa = 3 - 4 * nu

    def exact(x: Array) -> Array:
        r, t = np.hypot(x[0], x[1]) / radius, np.arctan2(x[1], x[0])
        along = r * (kappa + 1) * np.cos(t) + 2 / r * ((1 + kappa) * np.cos(t) + np.cos(3 * t))
        across = r * (kappa - 3) * np.sin(t) + 2 / r * ((1 - kappa) * np.sin(t) + np.sin(3 * t))
        return radius / (8 * mu) * np.stack([along - 2 / r**3 * np.cos(3 * t), across - 2 / r**3 * np.sin(3 * t)])

    def traction(x: Array, n: Array) -> Array:
        g = slopes(exact, np.asarray(x))
        strain = (g + g.swapaxes(0, 1)) / 2
        return np.einsum("ij...,j...->i...", 2 * mu * strain, n) + lam * trace(strain) * n

    @skfem.Functional
    def strain(w):
        e = sym_grad(w["u"])
        return 0.5 * lam * trace(e) ** 2 + mu * ddot(e, e)

    @skfem.Functional
    def work(w):
        return -dot(traction(w.x, w.n), w["u"])

    sides = {
        "left": lambda x: x[0] < 1e-9,
        "bottom": lambda x: x[1] < 1e-9,
        "pulled": lambda x: (x[0] > 1 - 1e-9) | (x[1] > 1 - 1e-9),
    }

    def solve(m: skfem.MeshTri) -> tuple[Any, Array]:
        named = m if m.boundaries else m.with_boundaries(sides)
        basis = skfem.Basis(named, skfem.ElementVector(skfem.ElementTriP1()))
        load = skfem.LinearForm(lambda v, w: dot(traction(w.x, w.n), v)).assemble(basis.boundary("pulled"))
        held = [basis.get_dofs(side).all(f"u^{k}") for side, k in (("left", 1), ("bottom", 2))]
        return basis, skfem.solve(
            *skfem.condense(linear_elasticity(lam, mu).assemble(basis), load, D=np.unique(np.concatenate(held)))
        )

    cells = (Rectangle((0, 0), (1, 1)) - Disk((0, 0), radius)).mesh(size, engine="scipy")
    mesh = skfem.MeshTri(*(np.ascontiguousarray(a.T) for a in (cells.points, cells.blocks[0].nodes)))
    return Case("plate with a hole", mesh.with_boundaries(sides), exact, solve, [strain, (work, "pulled")])


def published_task(samples: int = 25) -> list[Case]:
    """The Poisson task that a neural mover is judged by: 15 x 15 nodes, u a sum of two bells, RandomState(42)."""
    rng, mesh, cases = np.random.RandomState(42), square(14), []
    for k in range(samples):
        at, width = rng.uniform(0, 1, (2, 2)), rng.uniform(0.1, 0.5, 2)

        def bells(x: Array, at: Array = at, width: Array = width) -> list[tuple[Array, Array]]:
            r2 = [(x[0] - a) ** 2 + (x[1] - b) ** 2 for a, b in at]
            return [(np.exp(-r / s**2), 4 * r / s**4 - 4 / s**2) for r, s in zip(r2, width, strict=True)]

        cases.append(
            poisson(
                f"sample {k}",
                mesh,
                lambda x, bells=bells: sum(e for e, _ in bells(x)),
                lambda x, bells=bells: -sum(e * factor for e, factor in bells(x)),
            )
        )
    return cases


def _problem(name: str, n: int) -> Case:
    p = PROBLEMS[name]
    return poisson(f"{name} {n}x{n}", p.mesh(n), p.exact, p.source)


#: name -> the case, made when it is asked for
CASES: dict[str, Callable[[], Case]] = {
    "ring": lambda: _problem("ring", 40),
    "peak": lambda: _problem("peak", 40),
    "L-shape": lambda: _problem("corner", 32),
    "layer": lambda: _problem("oblique_layer", 40),
    "boundary layer": lambda: _problem("boundary_layer", 40),
    "plate": plate,
}
