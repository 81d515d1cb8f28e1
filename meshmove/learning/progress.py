"""What a training run tells of itself at every validation."""

from __future__ import annotations

from dataclasses import asdict, dataclass

__all__ = ["Progress"]


@dataclass(frozen=True)
class Progress:
    """One validation of the averaged weights; a model's own adds what it measures, on samples never trained on.

    Attributes
    ----------
    step, steps
        Done so far, and in all.
    seconds
        Since the run began, without what lay between an interruption and its resumption.
    train_loss
        Mean since the validation before; nan at first.
    best
        Whether no validation before was as good.
    """

    step: int
    steps: int
    seconds: float
    train_loss: float
    best: bool

    def row(self) -> dict[str, object]:
        """As a line of the log, `best` last."""
        row = asdict(self)
        row["best"] = row.pop("best")
        return row
