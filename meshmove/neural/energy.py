r"""The functional E in torch: the network's loss, and the residual and linearisation that its rounds look at.

.. math::
    E(x) = \sum_K |K_0| \left[ \tfrac12 (\log q_K - f_K)^2
           + \varepsilon \Bigl( \frac{\|J\|_F^d}{d^{d/2} \det J} - 1 \Bigr) \right]

With f = 0 it is E of `meshmove.movers.objectives.equidistribution`, less its term for the inside of hexahedra and
wedges, which the guard sees to. With a constant monitor, for which q_K is det J, and f = log q at the mesh that one
has, its minimiser y is the *inverse* of the move: it sends that mesh to one whose cells have the monitor masses as
volumes, and the monitor is not composed with the unknown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from meshmove.geometry.cells.quadrature import simplex_rule

from .batch import MeshBatch

__all__ = ["Linearised", "State", "energy", "imbalance", "state"]

#: m(x (k, d), graph (k,)) -> (k,): one positive monitor for each mesh of the batch
Density = Callable[[Tensor, Tensor], Tensor]


@dataclass(eq=False)
class State:
    """What there is to know of node positions (n, d).

    jacobian (s, d, d); jac (s,) det J, softened where asked; gradients (s, d+1, d) of log det J with respect to the
    vertices; shape (s,) the distortion, 1 at best; log_q (c,); monitor (s,) mean m on the moved simplex.
    """

    points: Tensor
    jacobian: Tensor
    jac: Tensor
    gradients: Tensor
    shape: Tensor
    log_q: Tensor
    part: Tensor  # of each simplex in its cell's mass, (s,)
    monitor: Tensor | None
    slope: Tensor | None  # gradient of log m with respect to the simplex' vertices (s, d+1, d)


def determinant(a: Tensor) -> Tensor:
    if a.shape[-1] == 2:
        return a[..., 0, 0] * a[..., 1, 1] - a[..., 0, 1] * a[..., 1, 0]
    return (a[..., 0] * torch.linalg.cross(a[..., 1], a[..., 2], dim=-1)).sum(-1)


def inner(a: Tensor, b: Tensor) -> Tensor:
    """Sum of the products of all components (s, ...) of each simplex, (s,)."""
    return torch.linalg.vecdot(a.reshape(len(a), -1), b.reshape(len(b), -1))


def with_first(rise: Tensor) -> Tensor:
    """Rows for vertices 1 to d (s, d, d), preceded by minus their sum for vertex 0."""
    total = rise[:, 0] + rise[:, 1]  # a reduction over so short an axis is many times slower
    if rise.shape[1] == 3:
        total = total + rise[:, 2]
    return torch.cat([-total[:, None], rise], 1)


def cofactors(a: Tensor) -> Tensor:
    """Adjugates det(a) a^-1 of matrices (s, d, d), also of singular ones."""
    if a.shape[-1] == 2:
        rows = [torch.stack([a[:, 1, 1], -a[:, 0, 1]], 1), torch.stack([-a[:, 1, 0], a[:, 0, 0]], 1)]
        return torch.stack(rows, 1)
    c = [a[:, :, k] for k in range(3)]
    return torch.stack([torch.linalg.cross(c[(k + 1) % 3], c[(k + 2) % 3]) for k in range(3)], 1)


def jacobians(batch: MeshBatch, points: Tensor) -> Tensor:
    """det J of every corner simplex, (s,), without the rest of a `State`."""
    x = points[batch.simplices]
    return determinant((x[:, 1:] - x[:, :1]).transpose(1, 2) @ batch.rest)


def distortion_force(batch: MeshBatch, at: State) -> Tensor:
    """Minus the gradient of the distortion of every simplex, times its share: (s, d+1, d)."""
    d = batch.dim
    norm2 = inner(at.jacobian, at.jacobian)
    pull = with_first(batch.rest @ at.jacobian.transpose(1, 2) * (d / norm2)[:, None, None])
    return (at.gradients - pull) * (at.shape * batch.share)[:, None, None]


def state(
    batch: MeshBatch,
    points: Tensor,
    density: Density | None = None,
    *,
    rule: str = "interior",
    slope: bool = False,
    soften: Tensor | float = 0.0,
) -> State:
    """Evaluate positions (n, d). `slope`: with the monitor's gradient, for `Linearised`.

    `soften`, one number or one a mesh: every det J becomes (det J + sqrt(det J^2 + 4 soften^2)) / 2 > 0,
    the smooth extension of E to inverted cells (Escobar et al. 2003).
    """
    d = batch.dim
    x = points[batch.simplices]
    jacobian = (x[:, 1:] - x[:, :1]).transpose(1, 2) @ batch.rest
    adjugate = cofactors(jacobian)
    jac = root = inner(jacobian[:, 0], adjugate[:, :, 0])
    if isinstance(soften, Tensor):
        soften = soften[batch.cell_graph[batch.owner]]
    if isinstance(soften, Tensor) or soften:
        root = torch.sqrt(jac * jac + 4 * soften * soften)
        jac = torch.where(jac > 0, (jac + root) / 2, 2 * soften * soften / (root + jac.abs()).clamp_min(1e-12))
    gradients = with_first(batch.rest @ adjugate / root[:, None, None])  # of the barycentric coordinates
    norm2 = inner(jacobian, jacobian)
    shape = norm2 / (2 * jac) if d == 2 else norm2 * norm2.sqrt() / (27**0.5 * jac)
    monitor = gradient = None
    mass = jac * batch.weight
    if density is not None:
        monitor, gradient = _sampled(batch, x, points, density, rule, slope)
        mass = mass * monitor
    cell = batch.per_cell(mass)
    total = cell.new_zeros(int(batch.component.max()) + 1)
    theta = total.index_add(0, batch.component, cell) / total.index_add(0, batch.component, batch.volume)
    log_q = torch.log(cell / (theta[batch.component] * batch.volume))
    return State(points, jacobian, jac, gradients, shape, log_q, mass / cell[batch.owner], monitor, gradient)


def _sampled(
    batch: MeshBatch, x: Tensor, points: Tensor, density: Density, rule: str, slope: bool
) -> tuple[Tensor, Tensor | None]:
    """Mean of m on every simplex, and the gradient of its logarithm with respect to the vertices."""
    d = batch.dim
    graph = batch.cell_graph[batch.owner]
    weights = torch.eye(d + 1).to(points) if rule == "vertices" else points.new_tensor(simplex_rule(d, 2)[0].T)
    where = points if rule == "vertices" else torch.einsum("qi,sic->sqc", weights, x).reshape(-1, d)
    belongs = batch.node_graph if rule == "vertices" else graph.repeat_interleave(d + 1)
    if slope and not where.requires_grad:
        where = where.detach().requires_grad_()
    twice = torch.is_grad_enabled()
    with torch.set_grad_enabled(twice or slope):
        m = density(where, belongs)
        rise = None
        if slope and m.requires_grad:
            (rise,) = torch.autograd.grad(m.sum(), where, create_graph=twice, allow_unused=True, materialize_grads=True)
        elif slope:  # a constant
            rise = torch.zeros_like(where)
    at = (lambda v: v[batch.simplices]) if rule == "vertices" else (lambda v: v.reshape(-1, d + 1, *v.shape[1:]))
    mean = at(m).mean(1)
    if rise is None:
        return mean, None
    gradient = torch.einsum("qi,sqc->sic", weights, at(rise)) / (mean[:, None, None] * (d + 1))
    return mean, gradient


def energy(batch: MeshBatch, at: State, distortion: float, target: Tensor | float = 0.0) -> Tensor:
    """E of every mesh, divided by its volume, (meshes,)."""
    shape = batch.per_cell((at.shape - 1) * batch.share) / batch.volume
    return batch.mean(0.5 * (at.log_q - target) ** 2 + distortion * shape)


def imbalance(batch: MeshBatch, at: State) -> Tensor:
    """sqrt(mean (q - 1)^2) of every mesh, by the quadrature of `state`, (meshes,)."""
    return batch.mean((at.log_q.exp() - 1) ** 2).sqrt()


class Linearised:
    """B = d log q / dx and the distortion's Laplacian L at one state, both differentiable.

    The Gauss-Newton matrix is A = B^T |K0| w B + eps L, with cell weights w.
    """

    def __init__(self, batch: MeshBatch, at: State, distortion: Tensor | float, weight: Tensor | float = 1.0) -> None:
        self.batch, self.gradients = batch, at.gradients
        values = at.gradients if at.slope is None else at.gradients + at.slope
        self.values = values * at.part[:, None, None]
        self.weight = batch.volume * weight
        self.stiff = distortion * batch.share

    def rates(self, step: Tensor) -> Tensor:
        """B step: change of log q, (c,), for displacements (n, d)."""
        return self.batch.per_cell(inner(self.values, step[self.batch.simplices]))

    def forces(self, cells: Tensor) -> Tensor:
        """B^T cells, (n, d)."""
        return self.batch.scatter(self.values * cells[self.batch.owner][:, None, None])

    def __call__(self, step: Tensor) -> Tensor:
        """A step, (n, d)."""
        slope = self.gradients.transpose(1, 2) @ step[self.batch.simplices]  # (s, c, d)
        bent = self.gradients @ (slope * self.stiff[:, None, None])
        return self.forces(self.weight * self.rates(step)) + self.batch.scatter(bent)
