"""Sizes and parts of the network."""

from __future__ import annotations

from dataclasses import dataclass

from meshmove.geometry.given import count

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """Sizes and parts of the network.

    `fields`, `attributes`, `boundaries`: names that it knows. `bundle`: frames that one pass predicts. `width` of the
    branches, `layers` of the one on the mesh, `corrections`: layers of the one on the moved mesh. `messages`:
    "operators" or "edges", see `Branch`; `reach` in edge lengths, 0 for none, and `directions` of far edges, for those.
    `moving`: whether there is a branch on a moved mesh. `learned`: whether a network of width `interpolation` weights
    the `neighbours` between meshes; if not, fields are carried linearly on cells. `placed`: whether that network sees
    places alone, see `Placed`. `cut`: width of a small network that makes good what the way back loses, 0 for none.
    `residual`: whether a branch without a base adds its changes to the fields, or has to give the fields themselves.

    `base`: name of the solver that the model corrects, and its `numbers`, which nodes know in place of the attributes.
    The base makes steps of `leap` frames; with `base_moves` on the moved mesh, too, where the other branch corrects it.
    """

    fields: tuple[str, ...] = ("u",)
    attributes: tuple[str, ...] = ()
    boundaries: tuple[str, ...] = ()
    dim: int = 2
    bundle: int = 5
    width: int = 48
    layers: int = 7
    corrections: int = 5
    messages: str = "operators"
    neighbours: int = 10
    interpolation: int = 16
    reach: float = 0.0
    directions: int = 8
    moving: bool = False
    learned: bool = False
    placed: bool = False
    cut: int = 0
    residual: bool = True
    base: str = ""
    numbers: tuple[str, ...] = ()
    leap: int = 1
    base_moves: bool = False

    def __post_init__(self) -> None:
        for name in ("bundle", "leap"):  # with none there would be no end of a bundle
            count(getattr(self, name), f"a number of frames in a {name}", low=1)
