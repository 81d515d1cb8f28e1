r"""The energy of the user's own problem as a function of node positions, and what keeps the cells valid.

Where the solution minimises an energy J, the discrete solution u_h does so among the finite element functions of its
mesh, and J(u_h; x) is a function of the node positions x that no mesh can bring below J(u). By the envelope theorem its
derivative is that of J at u_h by x alone, the configurational forces: u_h is stationary, so that how it changes with
the mesh does not count, and no adjoint is needed (Braun 1997; Thoutireddy & Ortiz 2004). What J falls by, the squared
error of the energy norm falls by. No derivative of the solution is recovered, so that this holds on meshes that do not
resolve it, too. The functional is

.. math::
    F(x) = \frac{J(x) - J(x_0)}{2 G}
           + \frac{\varepsilon}{|\Omega|} \sum_K |K_0| \Bigl( \frac{\|J_K\|_F^d}{d^{d/2} \det J_K} - 1 \Bigr),

with the `Distortion` that E has, and G an estimate of how far J(x_0) is above J(u): F then changes as 1/2 log (J(x) -
J(u)), the logarithm of the error, does near x_0.

M. Braun, Configurational forces induced by finite-element discretization, Proc. Estonian Acad. Sci. Phys. Math. 46,
1997. P. Thoutireddy, M. Ortiz, A variational r-adaption and shape-optimization method for finite-deformation
elasticity, Int. J. Numer. Meth. Engng. 61, 2004.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array
from meshmove.geometry.sliding import Shells

from .distortion import Distortion

__all__ = ["Energy", "EnergyFunctional"]

#: J and its derivatives (n, dim) at node positions (n, dim); (inf, None) where there is no solution
Energy = Callable[[Array], tuple[float, Array | None]]


class EnergyFunctional(Distortion):
    """F and its gradient.

    Parameters
    ----------
    mesh
        The reference mesh, which distortion is measured from.
    energy
        J(x) and its derivatives; one solve each time.
    origin, gap
        J(x_0), and how far that is above the least value.
    distortion
        The weight epsilon of the distortion term.
    curved_edges, shells
        As for `Distortion`.
    """

    def __init__(
        self,
        mesh: CellMesh,
        energy: Energy,
        origin: float,
        gap: float,
        distortion: float = 0.01,
        curved_edges: NDArray[np.int64] | None = None,
        shells: Shells | None = None,
    ) -> None:
        super().__init__(mesh, distortion, curved_edges, shells)
        self._energy, self._origin, self._factor = energy, origin, 0.5 / gap

    def __call__(self, points: Array) -> tuple[float, Array | None]:
        """F and dF/dx (n, dim) at node positions (n, dim); (inf, None) where a cell is not valid."""
        e = self._edges(points)
        cof = self._cofactors(e)
        jac = self._determinant(e, cof) * self._to_jac
        if not jac.min() > 0:
            return np.inf, None
        excess, pushed = self._limits(points)
        if pushed is None:
            return np.inf, None
        energy, forces = self._energy(points)
        if forces is None:
            return np.inf, None
        shape, force, to_dual, to_jac = self._distorted(e, jac)
        force *= to_dual
        force += to_jac * self._to_jac * cof
        pushed = pushed + self._scattered(force)
        value = self._factor * (energy - self._origin) + (shape + excess) / self._whole
        return value, self._factor * forces + pushed / self._whole
