"""Configurations of a training run."""

from __future__ import annotations

from dataclasses import dataclass, field

from meshmove.learning.config import RunConfig
from meshmove.solvers.hypino.network import Settings

from .objective import Weights

__all__ = ["CONFIGS", "Config"]


@dataclass(frozen=True)
class Config(RunConfig):
    """A training run; samples are problems.

    A share of `unlabelled` of them is without a solution, one of `bubbles` has a solution that vanishes on sides;
    `interior` and `edge`: points of each at which the loss looks; `decay`: of the weight matrices; `half`: the encoder
    in bfloat16.
    """

    settings: Settings = field(default_factory=Settings)
    steps: int = 1900
    batch: int = 32
    weights: Weights = field(default_factory=Weights)
    interior: int = 208
    edge: int = 112
    unlabelled: float = 0.125
    bubbles: float = 0.3
    decay: float = 0.02
    half: bool = True
    validate_every: int = 150
    validation: int = 256


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
