r"""The viscosity and the start of a flow from ten sensors, through gradients of a rollout.

Burgers' equation on the unit square: sensors at ten nodes report the field thirty times a second, twelve times in all,
with noise. Unknown are the viscosity and the amplitudes of four waves of the start. Their misfit, the sum of squares
with a mild prior, is minimised by L-BFGS; its gradient goes through all steps of the solver, and of the network that
corrects it: `MMPDE.differentiable`. Fronts are as thin as one of the 40 x 40 cells, and a solver smears them: alone, it
takes the viscosity for less than it is, to make up for its own.

    python examples/mmpde_sensors.py [--viscosity 0.002] [--noise 0.01] [--seed 0] [--out DIR]
"""

from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
import typer
from scipy.interpolate import RectBivariateSpline
from scipy.optimize import minimize
from torch import Tensor

from meshmove.solvers import MMPDE, BurgersStep
from meshmove.solvers.generators.burgers import burgers_frames, burgers_mesh

CELLS, FINE, FRAMES, SENSORS, WAVES = 40, 160, 12, 10, 2
#: of the prior: the logarithm of the viscosity, and amplitudes
GUESS, SPREAD, SIZE = np.log(0.01), 1.0, 0.5

Forward = Callable[[Tensor, Tensor], Tensor]


def waves(x: np.ndarray) -> np.ndarray:
    """(n, 4): products of sines at points (n, 2)."""
    k = np.arange(1, WAVES + 1)
    along = [np.sin(np.pi * x[:, [axis]] * k) for axis in (0, 1)]
    return (along[0][:, :, None] * along[1][:, None]).reshape(len(x), -1)


def estimated(forward: Forward, measured: Tensor, sensors: np.ndarray, noise: float) -> np.ndarray:
    """Logarithm of the viscosity and amplitudes (5,) that fit best what sensors at these nodes have measured."""
    mesh = burgers_mesh(CELLS)
    basis = torch.from_numpy(waves(mesh.points))

    def misfit(numbers: np.ndarray) -> tuple[float, np.ndarray]:
        z = torch.from_numpy(numbers).requires_grad_()
        frames = forward(basis @ (SIZE * z[1:]), (GUESS + SPREAD * z[0]).exp())
        loss = 0.5 * ((frames[1:, sensors] - measured) / noise).square().sum() + 0.5 * z.square().sum()
        loss.backward()
        return float(loss.detach()), z.grad.numpy()

    found = minimize(misfit, np.zeros(1 + WAVES**2), jac=True, method="L-BFGS-B", options={"maxfun": 18})
    print(f"  {found.nfev} rollouts with gradients, misfit {found.fun:.1f} of {measured.numel()} measurements")
    return np.array([GUESS + SPREAD * found.x[0], *(SIZE * found.x[1:])])


def main(viscosity: float = 0.002, noise: float = 0.01, seed: int = 0, out: Path = Path("out")) -> dict[str, float]:
    solver, mesh, rng = BurgersStep(), burgers_mesh(CELLS), np.random.default_rng(seed)
    model = MMPDE.from_pretrained("burgers-corrected", base=solver)
    dt, fine = float(model.step), np.linspace(0, 1, FINE + 1)
    amplitudes = rng.standard_normal(WAVES**2) / (1 + np.add.outer(np.arange(WAVES), np.arange(WAVES))).ravel()
    start = waves(np.stack(np.meshgrid(fine, fine, indexing="ij"), -1).reshape(-1, 2)) @ amplitudes
    size = 1 / np.abs(start).max()
    frames = burgers_frames(size * start.reshape(FINE + 1, -1), dt * np.arange(1, FRAMES + 1), viscosity)
    sensors = rng.choice(np.flatnonzero((np.abs(mesh.points - 0.5) < 0.4).all(axis=1)), SENSORS, replace=False)
    measured = np.array([RectBivariateSpline(fine, fine, u).ev(*mesh.points[sensors].T) for u in frames])
    measured += noise * rng.standard_normal(measured.shape)

    def alone(u: Tensor, nu: Tensor) -> Tensor:
        every = [u]
        for _ in range(FRAMES):
            every.append(solver.tensors(mesh, {"u": every[-1]}, dt, {"viscosity": nu})["u"])
        return torch.stack(every)

    def corrected(u: Tensor, nu: Tensor) -> Tensor:
        return model.differentiable(mesh, u, FRAMES, attributes={"viscosity": nu})[:, :, 0]

    errors, found, viscosities, truth = {}, {}, {"true": viscosity}, waves(mesh.points) @ (size * amplitudes)
    for name, forward in (("solver", alone), ("corrected", corrected)):
        print(name)
        logarithm, *of_waves = estimated(forward, torch.from_numpy(measured), sensors, noise)
        found[name] = waves(mesh.points) @ np.array(of_waves)
        errors[f"viscosity, {name}"] = abs(float(np.exp(logarithm)) / viscosity - 1)
        errors[f"start, {name}"] = float(np.linalg.norm(found[name] - truth) / np.linalg.norm(truth))
        viscosities[name] = float(np.exp(logarithm))
        print(f"  viscosity {np.exp(logarithm):.5f} for {viscosity:g}, start off by {errors[f'start, {name}']:.1%}")
    drawn(out, mesh.points, sensors, truth, found, viscosities)
    return errors


def drawn(
    out: Path, points: np.ndarray, sensors: np.ndarray, truth: np.ndarray, found: dict[str, np.ndarray],
    viscosities: dict[str, float],
) -> None:  # fmt: skip
    """The start with the sensors, and what either estimate of it is off."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained")
    most = max(np.abs(u - truth).max() for u in found.values())
    shown = [(f"start, and ten sensors\nviscosity {viscosities['true']:g}", truth, np.abs(truth).max())]
    shown += [(f"{k}: off by\nviscosity {viscosities[k]:.5f}", u - truth, most) for k, u in found.items()]
    for axis, (title, u, limit) in zip(axes, shown, strict=True):
        picture = axis.tripcolor(*points.T, u, shading="gouraud", cmap="coolwarm", vmin=-limit, vmax=limit)
        figure.colorbar(picture, ax=axis, shrink=0.8)
        axis.set(title=title, aspect="equal", xticks=[], yticks=[])
    axes[0].plot(*points[sensors].T, "ko", markersize=4)
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "mmpde_sensors.png", dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    typer.run(main)
