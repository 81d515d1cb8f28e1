"""Configurations of a training run."""

from __future__ import annotations

from dataclasses import dataclass, field

from meshmove.learning.config import RunConfig
from meshmove.solvers.hypino.network import Settings

from .objective import Weights

__all__ = ["CONFIGS", "Config"]


@dataclass(frozen=True)
class Config(RunConfig):
    """A training run.

    `batch` problems a step in all, whatever the number of devices, a share of `unlabelled` of them without a solution,
    of `bubbles` with one that vanishes on sides;
    `interior` and `edge`: points of each at which the loss looks; `average`: decay of the weights' running average;
    `patience`: validations without improvement before the run stops early; `half`: the encoder in bfloat16.
    """

    settings: Settings = field(default_factory=Settings)
    weights: Weights = field(default_factory=Weights)
    steps: int = 1900
    batch: int = 32
    interior: int = 208
    edge: int = 112
    unlabelled: float = 0.125
    bubbles: float = 0.3
    learning_rate: float = 1e-3
    decay: float = 0.02
    clip: float = 1.0
    average: float = 0.998
    half: bool = True
    seed: int = 0
    validate_every: int = 150
    validation: int = 256
    patience: int = 12


#: `full` has the published encoder: pictures of 224 pixels, depths 2, 2, 10, 2, width 128, windows of 7
CONFIGS: dict[str, Config] = {
    "small": Config(),
    "full": Config(
        Settings(
            raster=224,
            patch=4,
            width=128,
            depths=(2, 2, 10, 2),
            window=7,
            fine=1,
            detail=2,
            fields=16,
            hidden=64,
            rank=8,
        ),
        steps=100_000,
        batch=128,
        interior=512,
        edge=256,
        learning_rate=3e-4,
        validate_every=1000,
    ),
}
