"""Networks on a grid that MM-PDE is measured against: the Fourier neural operator and a U-Net, in plain torch.

They take the place of the branch on the mesh: same inputs and the coordinates besides, same normalisation, bundles,
loss, schedule, averaged weights and validation. Their weights are no matrices, so they take steps of AdamW alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from meshmove.learning.optimizers import matrices_apart
from meshmove.learning.processes import fabric_of
from meshmove.learning.run import Run
from meshmove.motion.frames import MONITOR
from meshmove.solvers.data import TrajectoryDataset
from meshmove.solvers.mmpde import MMPDE, Config, Settings
from meshmove.solvers.mmpde.graph import Graph
from meshmove.solvers.mmpde.training.fit import Progress, StepperRun
from meshmove.solvers.mmpde.training.objective import Objective
from meshmove.solvers.mmpde.training.samples import Samples, calibrate

__all__ = ["FNO", "OnGrid", "UNet", "fit"]

#: Fourier modes that are kept in each direction
MODES = 12


class _Grid(nn.Module):
    """A network of pictures as a branch: nodes are the points of a square grid, x slowest."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, inputs: Tensor, graph: Graph, unit: Tensor) -> Tensor:
        n = graph.n_meshes
        side = round((len(inputs) / n) ** 0.5)
        if n * side * side != len(inputs):
            raise ValueError(f"Expected the nodes of square grids (got {len(inputs)} nodes of {n} meshes)")
        x = torch.cat([inputs, graph.points], 1).view(n, side, side, -1).permute(0, 3, 1, 2)
        return self.net(x).permute(0, 2, 3, 1).reshape(len(inputs), -1)


class _Fourier(nn.Module):
    """Linear in the lowest Fourier modes, (B, C, H, W) to the same; and at each point, beside it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.point = nn.Conv2d(width, width, 1)
        # real and imaginary parts, of the modes of positive and of negative frequency
        self.modes = nn.Parameter(torch.randn(2, width, width, MODES, MODES, 2) / width / 2**0.5)

    def forward(self, x: Tensor) -> Tensor:
        found = torch.fft.rfft2(x)
        k = min(MODES, x.shape[2] // 2)
        low, high = torch.view_as_complex(self.modes)[..., :k, :k]
        out = torch.zeros_like(found)
        out[:, :, :k, :k] = torch.einsum("bixy,ioxy->boxy", found[:, :, :k, :k], low)
        out[:, :, -k:, :k] = torch.einsum("bixy,ioxy->boxy", found[:, :, -k:, :k], high)
        return torch.fft.irfft2(out, s=x.shape[2:]) + self.point(x)


class _FNO(nn.Module):
    def __init__(self, inputs: int, outputs: int, width: int, layers: int) -> None:
        super().__init__()
        self.lift = nn.Conv2d(inputs, width, 1)
        self.layers = nn.ModuleList(_Fourier(width) for _ in range(layers))
        self.project = nn.Sequential(nn.Conv2d(width, 4 * width, 1), nn.GELU(), nn.Conv2d(4 * width, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        side = x.shape[2]
        more = 8 - side % 8  # fields are not periodic, and fast transforms like multiples of 8
        x = nn.functional.pad(self.lift(x), (0, more, 0, more))
        for k, layer in enumerate(self.layers):
            x = layer(x)
            if k < len(self.layers) - 1:
                x = nn.functional.gelu(x)
        return self.project(x[:, :, :side, :side])


def _convolutions(inputs: int, outputs: int) -> nn.Sequential:
    parts: list[nn.Module] = []
    for size in (inputs, outputs):
        parts += [nn.Conv2d(size, outputs, 3, padding=1), nn.GroupNorm(4, outputs), nn.SiLU()]
    return nn.Sequential(*parts)


class _UNet(nn.Module):
    def __init__(self, inputs: int, outputs: int, width: int, layers: int) -> None:
        super().__init__()
        sizes = [width * 2**k for k in range(layers)]
        self.first = _convolutions(inputs, width)
        pairs = list(zip(sizes, sizes[1:], strict=False))
        self.halve = nn.ModuleList(nn.Conv2d(a, a, 3, stride=2, padding=1) for a, _ in pairs)
        self.down = nn.ModuleList(_convolutions(a, b) for a, b in pairs)
        self.up = nn.ModuleList(_convolutions(a + b, a) for a, b in pairs)
        self.last = nn.Conv2d(width, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        above = []
        for halve, down in zip(self.halve, self.down, strict=True):
            above.append(x)
            x = down(halve(x))
        for up in reversed(self.up):
            beside = above.pop()
            x = nn.functional.interpolate(x, beside.shape[2:], mode="bilinear", align_corners=True)
            x = up(torch.cat([x, beside], 1))
        return self.last(x)


class OnGrid(MMPDE):
    """The stepper with a network on the grid instead of its branch on the mesh."""

    network: ClassVar[type[nn.Module]]

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        s = self.settings
        inputs = len(s.fields) + len(s.attributes) + 2 + len(s.boundaries) + s.dim
        self.still: nn.Module = _Grid(self.network(inputs, s.bundle * len(s.fields), s.width, s.layers))


class FNO(OnGrid):
    """Li et al., Fourier neural operator for parametric partial differential equations, ICLR 2021."""

    network = _FNO


class UNet(OnGrid):
    """Ronneberger, Fischer, Brox, U-Net, MICCAI 2015; with group normalisation and SiLU."""

    network = _UNet


class _GridRun(StepperRun):
    """MM-PDE's own run, with another model."""

    def __init__(
        self,
        kind: type[OnGrid],
        config: Config,
        folder: Path,
        fabric: Any,
        sets: tuple[TrajectoryDataset, TrajectoryDataset],
    ) -> None:
        data, validation = sets
        torch.manual_seed(config.seed)
        model = kind(config.settings)
        calibrate(model, data)
        optimizers = matrices_apart(model, config.learning_rate, config.matrices, config.decay)
        objective = Objective(model, config.noise, config.half)
        self._moves = MONITOR, "monge-ampere"
        Run.__init__(self, config, folder, fabric, model, objective, *optimizers)
        shortest, held_out = (Samples(d, model, _no_mover, folder) for d in (data, validation))
        self._samples = [shortest.unrolled(k) for k in range(1, config.unroll + 1)]
        self._held_out = held_out.unrolled(config.unroll)


def _no_mover(group: Any) -> Any:
    raise ValueError("Expected a model without the moving branch")


def fit(
    kind: type[OnGrid],
    config: Config,
    folder: str | Path,
    *,
    data: TrajectoryDataset,
    validation: TrajectoryDataset,
    on_step: Callable[[int], None] | None = None,
) -> Iterator[Progress]:
    """Train on the CPU; see `meshmove.solvers.mmpde.training.fit.fit`."""
    run = _GridRun(kind, config.of(data), Path(folder), fabric_of(1, "cpu", None), (data, validation))
    yield from run.rows(on_step)
