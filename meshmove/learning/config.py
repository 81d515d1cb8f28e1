"""What every configuration of a training run has."""

from __future__ import annotations

import json
from dataclasses import KW_ONLY, asdict, dataclass
from typing import Any

__all__ = ["RunConfig"]


@dataclass(frozen=True)
class RunConfig:
    """Base of the configurations: what the loop itself wants to know. A model's own adds what it learns from, and says
    what is otherwise for it.

    Attributes
    ----------
    settings
        Of the model.
    steps
        In all.
    batch
        Samples a step in all, whatever the number of devices.
    learning_rate
        The highest of the schedule.
    clip
        Largest norm of a gradient.
    average
        Decay of the weights' running average.
    seed
        Of all that is drawn.
    validate_every
        So many steps there is a validation, on `validation` samples.
    patience
        Validations without improvement before the run stops early.
    """

    settings: Any
    steps: int
    batch: int
    _: KW_ONLY
    learning_rate: float = 1e-3
    clip: float = 1.0
    average: float = 0.998
    seed: int = 0
    validate_every: int = 100
    validation: int = 48
    patience: int = 12

    def as_json(self) -> str:
        """What tells a checkpoint of this configuration from those of others."""
        return json.dumps(asdict(self), sort_keys=True)
