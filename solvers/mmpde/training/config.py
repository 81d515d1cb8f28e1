"""Configurations of a training run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from meshmove.learning.config import RunConfig
from meshmove.solvers.data import TrajectoryDataset
from meshmove.solvers.mmpde.network import Settings

__all__ = ["CONFIGS", "Config"]


@dataclass(frozen=True)
class Config(RunConfig):
    """A training run; samples are bundles of frames, one after the other.

    The names in `settings` are those of the data. `ahead`: share of the steps in which the branch on the mesh learns;
    then that on the moved mesh does, each by a schedule of its own. `unroll`: most bundles that follow each other in a
    sample, as far as the trajectories reach; all but the last are predicted without a gradient (pushforward). For the
    branch on the mesh it sets in after `pushforward` of its steps, from when on each step draws their number, from two
    on; for the other each step draws it from the first on, for that has to know what is carried over. `noise`:
    amplitude added to normalised values. `matrices`: learning rate of all but the smallest weight matrices, which take
    steps of Muon; 0 for AdamW alone.
    """

    settings: Settings = field(default_factory=Settings)
    steps: int = 9000
    batch: int = 1
    learning_rate: float = 2e-3
    matrices: float = 0.01
    decay: float = 1e-5
    ahead: float = 0.6
    unroll: int = 4
    pushforward: float = 0.7
    noise: float = 0.0
    half: bool = False
    validate_every: int = 1000
    validation: int = 40
    patience: int = 20

    def of(self, data: TrajectoryDataset) -> Config:
        """The configuration with the names and the dimension of a data set."""
        names = sorted({name for g in data.groups for name in g.boundaries})
        settings = replace(
            self.settings, fields=data.fields, attributes=data.attributes, boundaries=tuple(names), dim=data.dim
        )
        return replace(self, settings=settings)


#: `small` trains in ten minutes on a CPU core; `full` has the published width
CONFIGS: dict[str, Config] = {
    "small": Config(),
    "full": Config(Settings(width=128, layers=10), 60_000, 16, learning_rate=1e-3, matrices=5e-3, half=True),
}
