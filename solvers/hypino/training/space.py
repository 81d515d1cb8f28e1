r"""Training of the network that emits knots, on layers made on the fly: no data.

A sample is an axis with an operator u'' + a u' + b u of constant coefficients. Its solutions are smooth ones plus
exponentials A exp(l (s -+ 1)), l the roots, each at the end that it decays from and of a size that the condition there
gives it. With G = |u^(d+1)|^2 the error of splines of degree d on a density rho of N knots is

    e^2 ~ N^-(2d+2) int G rho^-(2d+2),   least for rho ~ G^(1/(2d+3))

(de Boor 1973), and the loss is the logarithm of how many times more knots a density needs than the best one for the
same error: the network is trained through the error of the projection that its knots are for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from meshmove.geometry.arrays import Array
from meshmove.learning.config import RunConfig
from meshmove.learning.processes import fabric_of
from meshmove.learning.progress import Progress as RunProgress
from meshmove.learning.run import Run, new_model
from meshmove.solvers.hypino.space import STATIONS, Space, SpaceSettings, profiles
from meshmove.solvers.projection.grids import DEGREE

__all__ = ["CONFIGS", "Axes", "Config", "Objective", "Progress", "draw", "fit"]

_PIECES = 8  # between neighbouring stations, on which integrals are taken
_POWER = 2 * DEGREE + 2
_HELD_OUT = 9_000_011
#: relative error that the number of cells is for, and of splines of degree 6 on cells of length h, over h^7 |u^(7)|
_TOLERANCE, _CONSTANT = 1e-5, 1e-4


@dataclass(frozen=True)
class Config(RunConfig):
    """A training run; samples are axes."""

    settings: SpaceSettings = field(default_factory=SpaceSettings)
    steps: int = 3000
    batch: int = 256
    learning_rate: float = 3e-3
    average: float = 0.99
    validate_every: int = 500
    validation: int = 2000


CONFIGS = {"small": Config()}


@dataclass(frozen=True)
class Progress(RunProgress):
    """One validation: `loss`, and how many times as many knots as the best density needs, `knots`, a geometric mean."""

    loss: float
    knots: float


class Axes(NamedTuple):
    """Inputs (n, 31), logarithms of G (n, points) at `points`, and of the best numbers of cells (n,)."""

    inputs: Tensor
    steepness: Tensor
    cells: Tensor


def _line() -> tuple[Array, Array]:
    edges = np.interp(np.arange((len(STATIONS) - 1) * _PIECES + 1) / _PIECES, np.arange(len(STATIONS)), STATIONS)
    return 0.5 * (edges[1:] + edges[:-1]), np.diff(edges)


_MIDDLES, _LENGTHS = _line()


def draw(n: int, seed: tuple[int, ...]) -> Axes:
    """n axes with operators, conditions and solutions."""
    rng = np.random.default_rng(seed)
    power = lambda low, high: 10 ** rng.uniform(low, high, n)  # noqa: E731
    some = lambda share: rng.random(n) < share  # noqa: E731
    along = np.where(some(0.6), power(-1, 4.8) * rng.choice([-1, 1], n), 0.0)
    level = np.where(some(0.5), -power(-1, 8), np.where(some(0.2), power(0, 2.4), 0.0))
    across = np.where(some(0.3), power(0, 5), 0.0)
    ends = np.stack([rng.choice(3, n, p=(0.65, 0.25, 0.1)) for _ in range(2)])  # value, slope, none
    # what is carried along the other axis changes at a rate of about one: a decay along this one
    root = np.sqrt((along**2 - 4 * (level - across)).astype(complex))
    logs = [np.full((n, 1), 0.0) + 7 * np.log(rng.uniform(1, 8, (n, 1))) + np.log(power(-1.5, 0))[:, None]]
    for sign in (-1, 1):
        rate = (-along + sign * root) / 2
        right = rate.real > 0
        size = np.log(rng.uniform(0.1, 1.0, n))
        speed = np.log(np.maximum(np.abs(rate), 1e-3))
        at = np.where(right, ends[1], ends[0])
        size = np.where(at == 0, size, np.where(at == 1, size - np.maximum(speed, 0), -50.0))
        distance = np.where(right[:, None], 1 - _MIDDLES, 1 + _MIDDLES)
        logs.append((size + (DEGREE + 1) * speed)[:, None] - np.abs(rate.real)[:, None] * distance)
    steepness = 2 * np.logaddexp(np.logaddexp(logs[0], logs[1]), logs[2])
    kinds = np.stack([(ends == k).astype(float) for k in (0, 1)], axis=-1).transpose(1, 0, 2).reshape(n, 4)
    wide = np.ones(9)
    x = np.concatenate([profiles(*(np.outer(c, wide) for c in (along, level, across))), kinds], axis=1)
    best = torch.as_tensor(steepness)
    total = torch.logsumexp(best / (_POWER + 1) + torch.as_tensor(np.log(_LENGTHS)), dim=1)
    cells = total + (2 * np.log(_CONSTANT / _TOLERANCE) + total) / _POWER
    return Axes(torch.as_tensor(x, dtype=torch.float32), best.float(), cells.float())


class Objective(nn.Module):
    """Mean logarithm of the knots that are needed over the least, and squared error of that of their number."""

    def __init__(self, model: Space) -> None:
        super().__init__()
        self.model = model
        place = np.interp(_MIDDLES, STATIONS, np.arange(len(STATIONS)))
        self.register_buffer("low", torch.as_tensor(place.astype(int).clip(0, len(STATIONS) - 2)), persistent=False)
        self.register_buffer("share", torch.as_tensor(place - place.astype(int)).float(), persistent=False)
        self.register_buffer("lengths", torch.as_tensor(np.log(_LENGTHS)).float(), persistent=False)

    def forward(self, axes: Axes) -> Tensor:
        """The loss."""
        needed, cells = self.parts(axes)
        return needed.mean() + 0.3 * cells.mean()

    def parts(self, axes: Axes, model: Any = None) -> tuple[Tensor, Tensor]:
        """log(knots needed / least), and squared errors of the logarithm of the number of cells, (n,) each."""
        density, cells = (model or self.model)(axes.inputs)
        low: Any = self.low
        log = density[:, low] * (1 - self.share) + density[:, low + 1] * self.share
        log = log - torch.logsumexp(log + self.lengths, dim=1, keepdim=True)
        error = torch.logsumexp(axes.steepness - _POWER * log + self.lengths, dim=1)
        least = (_POWER + 1) * torch.logsumexp(axes.steepness / (_POWER + 1) + self.lengths, dim=1)
        return (error - least) / _POWER, (cells - axes.cells) ** 2


def fit(
    config: Config,
    folder: str | Path,
    *,
    devices: int = 1,
    accelerator: str = "auto",
    start: Space | None = None,
    on_step: Callable[[int], None] | None = None,
) -> Iterator[Progress]:
    """Train, yielding at every validation; see `meshmove.solvers.hypino.training.fit`."""
    yield from _Run(config, folder, fabric_of(devices, accelerator, None), start).rows(on_step)


class _Run(Run):
    kind, progress, criterion = "hypino-space", Progress, "loss"
    config: Config

    def __init__(self, config: Config, folder: str | Path, fabric: Any, start: Space | None) -> None:
        model = new_model(Space, config, start)
        self.plain = Objective(model).to(fabric.device)
        optimizer = torch.optim.Adam(model.parameters(), config.learning_rate)
        super().__init__(config, folder, fabric, model, self.plain, optimizer)

    def loss(self) -> Tensor:
        share = self.config.batch // self.fabric.world_size
        axes = draw(share, (self.config.seed, self.step, self.fabric.global_rank))
        return self.objective(Axes(*(t.to(self.fabric.device) for t in axes)))

    def measure(self) -> dict[str, float]:
        axes = draw(self.config.validation, (self.config.seed, _HELD_OUT))
        needed, cells = self.plain.parts(Axes(*(t.to(self.fabric.device) for t in axes)), self.average)
        return {"loss": float(needed.mean() + 0.3 * cells.mean()), "knots": float(needed.mean().exp())}
