"""Training on one device by one process: what `Run` asks of Lightning Fabric, without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .processes import check_launched

__all__ = ["Alone"]


@dataclass(frozen=True)
class Alone:
    """One process, which has all of every batch."""

    device: torch.device
    world_size: int = 1
    global_rank: int = 0
    is_global_zero: bool = True

    @classmethod
    def on(cls, accelerator: str) -> Alone:
        """On "cpu" or "cuda"; "auto" is a CUDA device where there is one.

        Raises
        ------
        ValueError
            Another name, a device that this machine does not have, or a launcher that started several processes.
        """
        check_launched(1)
        if accelerator == "auto":
            accelerator = "cuda" if torch.cuda.is_available() else "cpu"
        if accelerator not in ("cpu", "cuda") or (accelerator == "cuda" and not torch.cuda.is_available()):
            raise ValueError(f"Expected accelerator 'auto', 'cpu' or 'cuda' where there is one (got {accelerator!r})")
        return cls(torch.device(accelerator))

    def setup(self, module: nn.Module, *optimizers: torch.optim.Optimizer) -> tuple[Any, ...]:
        return module.to(self.device), *optimizers

    def backward(self, loss: Tensor) -> None:
        loss.backward()

    def barrier(self) -> None:
        """There is nobody to wait for."""
