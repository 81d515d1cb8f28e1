"""What a moving mesh is made from: a mesh and options, read and checked once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from meshmove.adaptation.adapt import read_options
from meshmove.adaptation.unit_mesh import UnitMesh
from meshmove.geometry.checks import check_cells
from meshmove.meshes.source import Source
from meshmove.monitors import Monitor
from meshmove.movers import Mover
from meshmove.options import number, shown

from .following.follower import Follower

__all__ = ["OPTIONS", "Setting"]

OPTIONS = (
    "monitor", "mover", "effort", "boundary", "fixed", "reference", "regions", "transfer", "device", "objective", "tau",
)  # fmt: skip
#: how the fields of a step are carried
TRANSFERS = ("swept", "conservative", "interpolate")


@dataclass(frozen=True, eq=False)
class Setting:
    """The mesh, what it moves relative to (None: itself), and how.

    `reference`: the mesh of that. `name`: of the mover. `follows_field`: the monitor is not a function of space.
    """

    source: Source
    given: Any
    reference: Any
    boundary: Any
    fixed: Any
    transfer: str | None
    monitor: Any
    mover: Mover | None
    align: bool
    effort: float
    tau: float | None

    @classmethod
    def of(cls, mesh: Any, given: Mapping[str, Any]) -> Setting:
        """Raises ValueError for options that are wrong, MeshmoveError for meshes that are unusable."""
        options = {"transfer": "swept", **given}
        transfer = options["transfer"]
        if transfer is not None and not (isinstance(transfer, str) and transfer in TRANSFERS):
            raise ValueError(
                f"Expected transfer 'swept', 'conservative', 'interpolate' or None (got {shown(transfer)})"
            )
        options["transfer"] = None  # judged here: `adapt` does not take all of these
        tau = options.pop("tau", None)
        tau = None if tau is None else number(tau, "a positive time constant, or None")
        boundary, fixed = options.pop("boundary", "slide"), options.pop("fixed", None)
        reference, regions = options.pop("reference", None), options.pop("regions", "auto")
        read = read_options(**options)
        source = Source.of(mesh, regions)
        check_cells(source.cells)
        own: Mover | None = None if options.get("mover", "auto") == "auto" else read.mover
        align = options.get("objective", "alignment") == "alignment"
        kept = source.mesh if reference is None else Source.of(reference, None).mesh
        return cls(
            source, reference, kept, boundary, fixed, transfer, read.monitor, own, align, read.effort, tau
        )  # fmt: skip

    @property
    def name(self) -> str:
        return "transport and alignment" if self.mover is None else self.mover.name

    @property
    def follows_field(self) -> bool:
        return isinstance(self.monitor, Monitor)

    def unit_mesh(self) -> UnitMesh:
        return UnitMesh(self.source, self.fixed, self.boundary, self.given)

    def follower(self, unit: UnitMesh) -> Follower:
        return Follower(unit, self.monitor, self.mover, self.align, self.effort, self.tau)
