r"""Fine-tuning: the emitted network as the start of a physics-informed one.

    min over all weights of  mean w (L u - f)^2 + mean of the weighted squares of the conditions,

by L-BFGS, after Adam where that is asked for (Raissi, Perdikaris & Karniadakis, J. Comput. Phys. 378, 2019). The
weights are those of the projection's rows, at a length h that small networks resolve.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from meshmove.solvers.pde import ProblemError, Statement
from meshmove.solvers.projection.boundary_rows import conditions

if TYPE_CHECKING:
    from .emitted import Emitted

__all__ = ["Step", "finetune", "random_start"]

_LENGTH = 0.2
_BATCH = 1500


@dataclass(frozen=True)
class Step:
    """`loss` after so many `steps`, relative to that of u = 0."""

    steps: int
    loss: float


def random_start(emitted: Emitted, seed: int = 0) -> Emitted:
    """Networks of the same shape with random weights, as a PINN starts: Glorot's normal distribution.

    The fields of Gaussians start from zero: random ones are so rough that the start would be a worse one.
    """
    generator = torch.Generator().manual_seed(seed)
    named = {}
    for name, value in emitted.parameters.items():
        fan = value.shape[-1] + (value.shape[-2] if value.ndim > 1 else 0)
        noise = torch.randn(value.shape, generator=generator, dtype=torch.float64)
        named[name] = (noise * (0.0 if name == "lattice" else math.sqrt(2 / max(fan, 1)))).to(value)
    return emitted.with_parameters(named)


def finetune(
    pde: Statement,
    emitted: Emitted,
    steps: int = 200,
    *,
    adam: int = 0,
    rate: float = 2e-3,
    seed: int = 0,
    watch: Callable[[int, Emitted], bool | None] | None = None,
) -> tuple[Emitted, list[Step]]:
    """Train an emitted network on the residual of its problem.

    Parameters
    ----------
    steps
        Steps in all; an iteration of L-BFGS counts as one.
    adam
        How many of them Adam takes, the first; by default none, as a start that is good already is lost in them.
    rate
        Adam's learning rate.
    watch
        Called with the number of steps and the network after every tenth; it ends the training by returning True.

    Returns
    -------
    Emitted, list of Step
        The network with the lowest loss seen, never worse than the start, and the history.

    Raises
    ------
    ProblemError
        A negative number of steps.
    """
    if steps < 0 or adam < 0:
        raise ProblemError(f"Expected numbers of steps of 0 or more (got steps={steps}, adam={adam})")
    loss = _loss(pde, seed)
    names = {k: v.detach().double().contiguous().clone().requires_grad_() for k, v in emitted.parameters.items()}
    network = lambda: emitted.with_parameters(names)  # noqa: E731
    best = float(loss(network()).detach())
    kept = {k: v.detach().clone() for k, v in names.items()}
    history = [Step(0, best)]
    first = min(adam, steps)
    optimizer: torch.optim.Optimizer = torch.optim.Adam(list(names.values()), lr=rate)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = loss(network())
        value.backward()
        return value

    for step in range(1, steps + 1):
        if step == first + 1:
            optimizer = torch.optim.LBFGS(
                list(names.values()), max_iter=1, max_eval=8, history_size=30, line_search_fn="strong_wolfe"
            )
        optimizer.step(closure)
        with torch.no_grad():
            now = float(loss(network()))
        if now < best:
            best, kept = now, {k: v.detach().clone() for k, v in names.items()}
        history.append(Step(step, now))
        if not math.isfinite(now) or (watch is not None and step % 10 == 0 and watch(step, network().detach())):
            break
    return emitted.with_parameters(kept), history


def _loss(pde: Statement, seed: int) -> Callable[[Emitted], torch.Tensor]:
    unit = pde.unit
    inside = unit.interior(_BATCH, seed)
    magnitude = np.sqrt((inside.coefficients**2).mean(axis=1))
    rows = conditions(unit, magnitude, _LENGTH, 0.06, seed)
    root = np.sqrt(inside.weights)
    points = torch.as_tensor(np.concatenate([inside.points, rows.points], axis=1))
    operator = torch.as_tensor(np.concatenate([inside.coefficients * root, rows.coefficients], axis=1))
    right = torch.as_tensor(np.concatenate([inside.source * root, rows.values]))
    size = float((right**2).sum()) or 1.0

    def loss(network: Emitted) -> torch.Tensor:
        return (((operator * network.jets(points)).sum(0) - right) ** 2).sum() / size

    return loss
