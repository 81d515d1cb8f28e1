"""What training loops share: devices through Lightning Fabric, the learning rate's schedule, a log as CSV."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["append_row", "fabric_of", "schedule"]


def fabric_of(devices: int, accelerator: str, strategy: str | None) -> Any:
    """Launched processes that share the work.

    Raises
    ------
    ImportError
        Without lightning-fabric.
    """
    try:
        from lightning.fabric import Fabric
    except ImportError:
        try:
            from lightning_fabric import Fabric
        except ImportError as error:
            raise ImportError("Training needs lightning-fabric: pip install 'meshmove[train]'") from error
    fabric = Fabric(accelerator=accelerator, devices=devices, strategy=strategy or ("ddp" if devices > 1 else "auto"))
    fabric.launch()
    return fabric


def schedule(t: float) -> float:
    """Learning rate at the fraction t of the run: a short rise, then half a cosine down to a hundredth.

    >>> [round(schedule(t), 2) for t in (0.03, 1.0)]
    [1.0, 0.01]
    """
    rise = 0.03
    return t / rise + 0.01 if t < rise else 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (t - rise) / (1 - rise)))


def append_row(log: Path, row: Mapping[str, object]) -> None:
    """One more line of a table with a header."""
    new = not log.exists()
    with log.open("a", newline="") as file:
        table = csv.DictWriter(file, list(row))
        if new:
            table.writeheader()
        table.writerow(row)
