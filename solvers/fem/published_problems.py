r"""The seven problems of HyPINO's evaluation, with solutions that are known or converged.

Bischof et al., HyPINO: Multi-physics neural operators via hyper-PINNs and the method of manufactured solutions,
NeurIPS 2025 (arXiv 2509.05117). All on [-1, 1]^2, with y the time where there is one. HT, HZ and WV have formulas. The
others are solved by elements of degree 4 on meshes with curved edges, refined towards the corner where there is one;
halving the cells changes the solutions by less than 1e-6 (relative L2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import skfem

from meshmove.geometry.arrays import Array
from meshmove.geometry.domains import Disk, Domain, Rectangle
from meshmove.solvers.pde.conditions import Dirichlet, Interval, TimeInterval
from meshmove.solvers.pde.linear import LinearPDE

from .evaluation import function_of
from .linear import solve_finite_elements
from .meshes import mesh_of

__all__ = ["BENCHMARKS", "Benchmark", "grid"]

PI = np.pi
#: centre and width of the bumps of PS-G, whose height is 100
BUMPS = ((0.197, 0.419, 0.079), (0.825, -0.380, 0.145), (0.197, -0.585, 0.093), (-0.911, -0.952, 0.198))


@dataclass(frozen=True)
class Benchmark:
    """A problem, and its solution as a formula or None.

    `size` is that of the cells of the finite element reference; `layers`: how often the cells at re-entrant corners
    are halved.
    """

    name: str
    pde: LinearPDE
    exact: Callable[[Array], Array] | None = None
    size: float = 0.06
    layers: int = 24

    @cached_property
    def reference(self) -> Callable[[Array], Array]:
        """The solution, a function of points (2, n): the formula, or finite elements (seconds at the first call)."""
        return self.exact or function_of(*self.solve(self.size))

    def solve(self, size: float) -> tuple[skfem.CellBasis, Array]:
        """The finite element solution of degree 4 with cells of this size: (basis, degrees of freedom).

        >>> basis, dofs = BENCHMARKS["PS-L"].solve(0.5)
        >>> bool(abs(dofs.max() - 0.1494) < 1e-3)
        True
        """
        at = [self.pde.unit.to_physical(corner.at[:, None]) for corner in self.pde.unit.corners]
        mesh = mesh_of(self.pde.domain, size, np.concatenate(at, axis=1) if at else None, self.layers)
        return solve_finite_elements(self.pde, mesh, element=skfem.ElementTriP4())

    def __repr__(self) -> str:
        return f"Benchmark({self.name}: {self.pde!r}{'' if self.exact else ', reference by finite elements'})"


def grid(n: int = 129) -> Array:
    """The points (2, n n) of a grid over [-1, 1]^2, row by row from the lowest y.

    >>> grid(3)[:, :4]
    array([[-1.,  0.,  1., -1.],
           [-1., -1., -1.,  0.]])
    """
    line = np.linspace(-1, 1, n)
    return np.stack([np.tile(line, n), np.repeat(line, n)])


def _square() -> Rectangle:
    return Rectangle((-1, -1), (1, 1), name="outer")


def _poisson(domain: Domain, source: Callable | float = 0.0, u: float = 0.0, **values: float) -> LinearPDE:
    conditions = {name: Dirichlet(value) for name, value in values.items()}
    return LinearPDE(domain, uxx=-1, uyy=-1, u=u, source=source, conditions=conditions)


def _string(x: Array) -> Array:
    s = (x[0] + 1) / 2
    return np.sin(PI * s) + 0.5 * np.sin(4 * PI * s)


def _heat() -> Benchmark:
    def exact(x: Array) -> Array:
        return np.sin(PI * (x[0] + 1) / 2) * np.exp(-0.2 * (PI / 2) ** 2 * (x[1] + 1))

    return Benchmark("HT", _in_time(ut=1, uxx=-0.2, initial=exact), exact)


def _wave() -> Benchmark:
    def exact(x: Array) -> Array:
        s, t = (x[0] + 1) / 2, x[1] + 1
        return np.sin(PI * s) * np.cos(PI * t) + 0.5 * np.sin(4 * PI * s) * np.cos(4 * PI * t)

    return Benchmark("WV", _in_time(utt=1, uxx=-4, initial=_string, velocity=0.0), exact)


def _in_time(**rest: Callable | float) -> LinearPDE:
    ends = {"left": Dirichlet(0.0), "right": Dirichlet(0.0)}
    return LinearPDE(Interval(-1, 1), time=TimeInterval(-1, 1), conditions=ends, **rest)


def _wavy(x: Array) -> Array:
    return np.sin(PI * x[0]) * np.sin(4 * PI * x[1])


def _helmholtz() -> Benchmark:
    pde = LinearPDE(
        _square(),
        uxx=1,
        uyy=1,
        u=1,
        source=lambda x: (1 - 17 * PI**2) * _wavy(x),
        conditions={"outer": Dirichlet(0.0)},
    )
    return Benchmark("HZ", pde, _wavy)


def _helmholtz_with_holes() -> Benchmark:
    disks = ((-0.6, 0.5, 0.3), (0.5, 0.5, 0.2), (0.4, -0.4, 0.4), (-0.2, -0.7, 0.1))
    domain = _square() - [Disk((x, y), r, name="hole") for x, y, r in disks]

    def source(x: Array) -> Array:
        return 10 * (17 + x[0] ** 2 + x[1] ** 2) * _wavy(x)

    return Benchmark("HZ-G", _poisson(domain, source, u=64, outer=0.2, hole=1.0), size=0.02)


def _four_disks() -> Benchmark:
    domain = _square() - [Disk((x, y), 0.2, name="hole") for x in (-0.6, 0.6) for y in (-0.6, 0.6)]
    return Benchmark("PS-C", _poisson(domain, outer=1.0, hole=0.0), size=0.025)


def _corner() -> Benchmark:
    domain = _square() - Rectangle((0, 0), (1, 1), name="notch")
    return Benchmark("PS-L", _poisson(domain, 1.0, outer=0.0, notch=0.0))


def _bumps() -> Benchmark:
    def source(x: Array) -> Array:
        parts = [np.exp(-0.5 * ((x[0] - a) ** 2 + (x[1] - b) ** 2) / s**2) for a, b, s in BUMPS]
        return 100 * np.sum(parts, axis=0)

    return Benchmark("PS-G", _poisson(_square(), source, outer=0.0), size=0.04)


#: the seven problems by name
BENCHMARKS: dict[str, Benchmark] = {
    b.name: b for b in (_heat(), _helmholtz(), _helmholtz_with_holes(), _four_disks(), _corner(), _bumps(), _wave())
}
