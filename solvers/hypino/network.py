"""The hypernetwork: it reads a linear problem (operator, geometry, data) and writes the networks that solve it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from meshmove.solvers.pde import ProblemError

from .emitted import Emitted
from .encoder import Encoder, fourier
from .heads import FieldHead, WeightHead
from .inputs import CHANNELS, Turn, prepare

__all__ = ["Network", "Settings"]


@dataclass(frozen=True)
class Settings:
    """Sizes of the hypernetwork.

    `raster`: pixels a side; `sweeps` of conjugate gradients for the first guess; `patch`: pixels a token; `fine`: the
    stage whose tokens write the fields, `detail` values a side for each of `fields`; `hidden` and `rank`: of the
    emitted tanh network.
    """

    raster: int = 64
    sweeps: int = 60
    patch: int = 4
    width: int = 64
    depths: tuple[int, ...] = (2, 6)
    window: int = 8
    fine: int = 0
    detail: int = 2
    fields: int = 8
    hidden: int = 48
    rank: int = 4


class Network(nn.Module):
    """From the coefficients and the picture of a linear problem to a network that solves it."""

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__()
        s = self.settings = settings or Settings()
        condition = 128
        self.condition = nn.Sequential(nn.Linear(70, condition), nn.GELU(), nn.Linear(condition, condition), nn.GELU())
        self.encoder = Encoder(CHANNELS, condition, s.patch, s.width, s.depths, s.window, s.fine)
        self.fields = FieldHead(self.encoder.width, condition, s.fields, s.detail)
        self.weights = WeightHead(self.encoder.coarse_width, condition, s.hidden, s.rank)

    def forward(
        self,
        coefficients: Tensor,
        raster: Tensor,
        precision: torch.dtype | None = None,
        sweeps: int | None = None,
    ) -> Emitted:
        """The solutions of B problems on [-1, 1]².

        Parameters
        ----------
        coefficients
            (B, 5), of u, uX, uY, uXX, uYY.
        raster
            (B, 6, n, n): Dirichlet mask, Neumann mask, Dirichlet values, Neumann values, source, inside, as
            `UnitProblem.raster` draws them.
        precision
            Of the encoder's matrix products, single by default.
        sweeps
            Of conjugate gradients for the rough solution; by default as many as in training.
        """
        turn = Turn.of(coefficients)
        inputs = prepare(turn.coefficients(coefficients), turn.raster(raster), sweeps or self.settings.sweeps)
        present = (inputs.coefficients.abs() > 1e-6).to(raster.dtype)
        condition = self.condition(torch.cat([fourier(inputs.coefficients), present], 1))
        # only the encoder bears half precision
        with torch.autocast(raster.device.type, precision or torch.bfloat16, enabled=precision is not None):
            fine, coarse = (t.float() for t in self.encoder(inputs.picture, condition))
        lattice, mixture = self.fields(fine, condition, inputs)
        net = self.weights(coarse, condition)
        net["out"] = net["out"] * inputs.left[:, None]
        emitted = Emitted(lattice, mixture, (net,))
        return (emitted * inputs.scale).turned_back(turn)

    @torch.no_grad()
    def write(self, coefficients: ArrayLike, rasters: ArrayLike, sweeps: int | None = None) -> Emitted:
        """Solutions of problems given as arrays of any amplitude, (B, 5) and (B, 6, n, n): no graph, evaluation mode.

        `sweeps`: see `forward`.

        Raises
        ------
        ProblemError
            If a raster has another size than the network reads.
        """
        c, pictures = np.atleast_2d(np.asarray(coefficients, float)), np.array(rasters, float, ndmin=4)
        n = self.settings.raster
        if pictures.shape[1:] != (6, n, n) or len(c) != len(pictures) or c.shape[1] != 5:
            raise ProblemError(
                f"Expected coefficients (B, 5) and rasters (B, 6, {n}, {n}) of as many problems "
                f"(got {c.shape} and {pictures.shape})"
            )
        # in double precision: amplitudes beyond single precision's range are no one's concern further on
        size = np.abs(c).max(axis=1).clip(1e-300)
        pictures[:, 4] /= size[:, None, None]
        amplitude = np.abs(pictures[:, 2:5]).max(axis=(1, 2, 3))
        pictures[:, 2:5] /= np.where(amplitude > 0, amplitude, 1)[:, None, None, None]
        device = next(self.parameters()).device
        tensors = (torch.as_tensor(a, dtype=torch.float32, device=device) for a in (c / size[:, None], pictures))
        was, _ = self.training, self.eval()
        try:
            emitted = self(*tensors, sweeps=sweeps)
        finally:
            self.train(was)
        return emitted.to(dtype=torch.float64) * torch.as_tensor(amplitude, device=device)
