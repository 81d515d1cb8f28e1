r"""The hypernetwork emits the space: from a problem's operator and conditions the knots that projection starts with.

Along each axis a small network reads profiles of the coefficients, c_a/c_aa, c_u/c_aa and the transport along the other
axis, and the kinds of conditions at both ends, and writes the logarithm of a density of knots at stations that crowd
towards both ends, and how many cells. Mirrored problems have mirrored densities by construction. It does not know the
data, so it does not know how strong a layer is: what it writes is where projection starts, and rounds go on from there.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from meshmove.geometry.arrays import Array
from meshmove.learning.weights import WeightsError, read_weights, write_weights
from meshmove.solvers.pde import UnitProblem
from meshmove.solvers.projection.features.knots import Knots
from meshmove.solvers.projection.grading import placed

__all__ = ["STATIONS", "Space", "SpaceSettings", "inputs"]

KIND, FOLDER = "hypino-space", Path(__file__).parent / "weights"
#: densities are written at distances 2^-k from both ends, k up to this
_NEAREST = 16
#: where profiles of coefficients are read
_PROFILE = np.linspace(-0.98, 0.98, 9)
_ACROSS = np.linspace(-0.95, 0.95, 7)
_FINE = 40  # pieces between neighbouring stations on which a density is integrated
#: cells along an axis, and how many times as many as the first round needs: those of the second
_FEWEST, _MOST, _AHEAD = 10, 64, 1.5


def _stations() -> Array:
    d = 2.0 ** -np.arange(0.0, _NEAREST + 1)
    inner = np.linspace(-0.4, 0.4, 5)
    return np.unique(np.concatenate([[-1.0, 1.0], d - 1, 1 - d, inner]))


STATIONS = _stations()


@dataclass(frozen=True)
class SpaceSettings:
    """Sizes of the network that emits knots: `hidden` units in each of two layers."""

    hidden: int = 56


class Space(nn.Module):
    """From inputs (n, 31) of axes to logarithms of densities (n, stations) and of numbers of cells (n,)."""

    def __init__(self, settings: SpaceSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or SpaceSettings()
        h, k = self.settings.hidden, len(STATIONS)
        self.layers = nn.Sequential(nn.Linear(31, h), nn.GELU(), nn.Linear(h, h), nn.GELU(), nn.Linear(h, k + 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Even under mirrors: the mean of what is written for an axis and, mirrored back, for its mirror image."""
        one, other = self.layers(x), self.layers(mirrored(x))
        density = 0.5 * (one[:, :-1] + other[:, :-1].flip(1))
        return density, 0.5 * (one[:, -1] + other[:, -1])

    @torch.no_grad()
    def knots(self, unit: UnitProblem) -> tuple[Knots, Knots] | None:
        """Knots along X and Y, or None for problems that it has not learned: neither elliptic nor parabolic."""
        if unit.pde.kind not in ("elliptic", "parabolic") or unit.pde.extra or unit.pde.regions:
            return None
        x = torch.as_tensor(np.stack([inputs(unit, axis) for axis in (0, 1)]), dtype=torch.float32)
        density, cells = (t.double().numpy() for t in self(x))
        if unit.pde.timed:  # nothing was learned of time
            density[1], cells[1] = 0.0, np.log(_FEWEST)
        return _knots(density[0], cells[0]), _knots(density[1], cells[1])

    def save_pretrained(self, path: str | Path) -> Path:
        """Write the weights and sizes to a safetensors file."""
        return write_weights(path, KIND, asdict(self.settings), self.state_dict())

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path = "space-small") -> Space:
        """The network that ships with the package, or one that `save_pretrained` wrote.

        Raises
        ------
        WeightsError
            If there is no such network, or the file is damaged, of another kind or another version.
        """
        settings, tensors = read_weights(name_or_path, KIND, FOLDER)
        try:
            with torch.random.fork_rng():  # weights are drawn, to be replaced
                model = cls(SpaceSettings(**settings))  # type: ignore[arg-type]
            model.load_state_dict(tensors)
        except (TypeError, RuntimeError) as error:
            raise WeightsError(f"Expected the weights of a Space in {name_or_path} (got others: {error})") from error
        return model.eval()


def mirrored(x: Tensor) -> Tensor:
    """Inputs (n, 31) of the mirrored axes: transport along it changes its sign."""
    along, level, across, ends = x[:, :9], x[:, 9:18], x[:, 18:27], x[:, 27:]
    return torch.cat([-along.flip(1), level.flip(1), across.flip(1), ends[:, 2:], ends[:, :2]], dim=1)


def profiles(along: Array, level: Array, across: Array) -> Array:
    """Inputs (..., 27) from c_a/c_aa, c_u/c_aa and |c_b|/|c_aa| (..., 9) along an axis."""
    return np.concatenate([np.arcsinh(along) / 4, np.arcsinh(level) / 6, np.arcsinh(np.abs(across)) / 6], axis=-1)


def inputs(unit: UnitProblem, axis: int) -> Array:
    """What the network reads of a problem along an axis, (31,).

    Coefficients are means over the domain across the axis; ends are the shares of their rows that fix the value, and
    the slope.
    """
    s, t = (m.ravel() for m in np.meshgrid(_PROFILE, _ACROSS, indexing="ij"))
    X = np.stack([s, t] if axis == 0 else [t, s])
    inside = unit.contains(X)
    if not inside.any():
        inside[:] = True
    c = np.zeros((len(unit.powers), len(s)))
    c[:, inside] = unit.pde.coefficients_at(unit.to_physical(X[:, inside])) / unit.powers[:, None]
    share = inside.reshape(9, -1)
    mean = c.reshape(len(c), 9, -1).sum(axis=2) / np.maximum(share.sum(axis=1), 1)
    mean[:, ~share.any(axis=1)] = mean[:, share.any(axis=1)].mean(axis=1, keepdims=True)
    second = mean[3 + axis]
    small = 1e-12 * max(float(np.abs(mean).max()), 1e-300)
    second = np.where(np.abs(second) > small, second, small)
    rows = unit.boundary(256)
    ends = []
    for end in (-1, 1):
        at = np.abs(rows.points[axis] - end) < 1e-6
        kinds = rows.kinds[at]
        ends += [float((kinds == 0).mean()), float((kinds > 0).mean())] if len(kinds) else [0.0, 0.0]
    values = profiles(mean[1 + axis] / second, mean[0] / second, mean[2 - axis] / second)
    return np.concatenate([values, ends])


def _knots(log_density: Array, log_cells: float) -> Knots:
    """Cells of a density written at the stations."""
    fine = np.unique(np.interp(np.arange((len(STATIONS) - 1) * _FINE + 1) / _FINE, np.arange(len(STATIONS)), STATIONS))
    base = Knots(fine)
    middle = base.nodes(np.zeros(1))
    density = np.exp(np.interp(middle, STATIONS, log_density - log_density.max()))
    n = int(np.clip(np.round(_AHEAD * np.exp(np.clip(log_cells, 0.0, 6.0))), _FEWEST, _MOST))
    return placed(base, density * (n / (density * base.lengths).sum()), n)
