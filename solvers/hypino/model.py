"""The hypernetwork: it reads a linear problem (operator, geometry, data) and writes the networks that solve it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from meshmove.neural.weights import WeightsError, read_weights, write_weights
from meshmove.solvers.pde import LinearPDE, ProblemError, several_of

from .encoder import Encoder, fourier
from .heads import FieldHead, WeightHead
from .inputs import CHANNELS, Turn, prepare
from .target import Emitted

if TYPE_CHECKING:
    from .solution import Solution

__all__ = ["HyPINO", "Settings"]

KIND, FOLDER = "hypino", Path(__file__).parent / "weights"


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


class HyPINO(nn.Module):
    """From the coefficients and the picture of a linear problem to a network that solves it."""

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__()
        s = self.settings = settings or Settings()
        condition = 128
        self.condition = nn.Sequential(nn.Linear(70, condition), nn.GELU(), nn.Linear(condition, condition), nn.GELU())
        self.encoder = Encoder(CHANNELS, condition, s.patch, s.width, s.depths, s.window, s.fine)
        self.fields = FieldHead(self.encoder.width, condition, s.fields, s.detail)
        self.weights = WeightHead(self.encoder.coarse_width, condition, s.hidden, s.rank)

    def forward(self, coefficients: Tensor, raster: Tensor, precision: torch.dtype | None = None) -> Emitted:
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
        """
        turn = Turn.of(coefficients)
        inputs = prepare(turn.coefficients(coefficients), turn.raster(raster), self.settings.sweeps)
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
    def write(self, coefficients: ArrayLike, rasters: ArrayLike) -> Emitted:
        """Solutions of problems given as arrays of any amplitude, (B, 5) and (B, 6, n, n): no graph, evaluation mode.

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
            emitted = self(*tensors)
        finally:
            self.train(was)
        return emitted.to(dtype=torch.float64) * torch.as_tensor(amplitude, device=device)

    def emit(self, problems: LinearPDE | Iterable[LinearPDE]) -> Emitted:
        """Networks that solve one problem (no axis of a batch) or several, in double precision.

        Called, they take points x of the problems' own coordinates, as a `Solution` does; their `jets` and `features`
        are those in unit coordinates.

        Parameters
        ----------
        problems
            One or several `LinearPDE`; where coefficients vary the network sees their means.
        """
        several = [problems] if isinstance(problems, LinearPDE) else several_of(problems)
        if not several:
            raise ProblemError("Expected at least one problem (got an empty list)")
        n = self.settings.raster
        units = [problem.unit for problem in several]
        emitted = self.write([unit.means for unit in units], [unit.raster(n) for unit in units])
        frame = torch.as_tensor(np.array([(unit.center, unit.half) for unit in units])).to(emitted.lattice)
        emitted = replace(emitted, frame=frame)
        return emitted.select(0) if isinstance(problems, LinearPDE) else emitted

    @overload
    def solve(self, pde: LinearPDE, **how: Any) -> Solution: ...
    @overload
    def solve(self, pde: Iterable[LinearPDE], **how: Any) -> list[Solution]: ...
    def solve(
        self,
        pde: LinearPDE | Iterable[LinearPDE],
        *,
        refine: int = 0,
        finetune: int = 0,
        project: bool | str = False,
        **options: Any,
    ) -> Solution | list[Solution]:
        """Solve one problem, or each of several: what `emit` writes, and what improves it.

        Refinement, fine-tuning and projection, see `solve`, are done for each problem by itself.

        Examples
        --------
        >>> from meshmove.geometry import Rectangle
        >>> from meshmove.solvers.pde import Dirichlet
        >>> square = Rectangle((0, 0), (1, 1), name="plate")
        >>> pde = LinearPDE(square, uxx=-1, uyy=-1, source=1.0, conditions={"plate": Dirichlet(0.0)})
        >>> solution = HyPINO(Settings(raster=32, width=32, depths=(1, 1), window=4)).solve(pde)
        >>> solution([[0.5], [0.5]]).shape
        (1,)
        """
        from .solve import solve  # it builds on this module

        how: dict[str, Any] = {"refine": refine, "finetune": finetune, "project": project, **options}
        if isinstance(pde, LinearPDE):
            return solve(self, pde, **how)
        problems = several_of(pde)
        emitted = self.emit(problems) if problems and project is not True else None
        return [
            solve(self, p, first=None if emitted is None else emitted.select(i), **how) for i, p in enumerate(problems)
        ]

    def save_pretrained(self, path: str | Path) -> Path:
        """Write the weights and sizes to a safetensors file."""
        return write_weights(path, KIND, asdict(self.settings), self.state_dict())

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path = "hypino-small") -> HyPINO:
        """A model that ships with the package, or one that `save_pretrained` wrote.

        Raises
        ------
        WeightsError
            If there is no such model, or the file is damaged, of another kind or another version.
        """
        settings, tensors = read_weights(name_or_path, KIND, FOLDER)
        sizes = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
        try:
            model = cls(Settings(**sizes))  # type: ignore[arg-type]
            model.load_state_dict(tensors)
        except (TypeError, RuntimeError) as error:
            raise WeightsError(f"Expected the weights of a HyPINO in {name_or_path} (got others: {error})") from error
        return model.eval()
