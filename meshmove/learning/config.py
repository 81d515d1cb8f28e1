"""What every configuration of a training run has."""

from __future__ import annotations

import json
from dataclasses import asdict

__all__ = ["RunConfig"]


class RunConfig:
    """Base of the configurations, which are frozen dataclasses: what the loop itself wants to know.

    `steps` in all; `batch`: samples a step in all, whatever the number of devices; `clip`: largest norm of a gradient;
    `average`: decay of the weights' running average; `seed` of all that is drawn; `validate_every` so many steps, on
    `validation` samples; `patience`: validations without improvement before the run stops early.
    """

    steps: int
    batch: int
    clip: float
    average: float
    seed: int
    validate_every: int
    validation: int
    patience: int

    def as_json(self) -> str:
        """What tells a checkpoint of this configuration from those of others."""
        return json.dumps(asdict(self), sort_keys=True)  # type: ignore[call-overload]
