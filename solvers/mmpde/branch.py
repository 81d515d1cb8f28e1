"""Sizes and parts of the network, and a branch of it: message passing from the state to its changes over a bundle."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from meshmove.geometry.given import count

from .graph import Graph
from .operators import Operators

__all__ = ["Branch", "Settings"]

#: what messages are made of
MESSAGES = "operators", "edges"


@dataclass(frozen=True)
class Settings:
    """Sizes and parts of the network.

    `fields`, `attributes`, `boundaries`: names that it knows. `bundle`: frames that one pass predicts. `width` of the
    branches, `layers` of the one on the mesh, `corrections`: layers of the one on the moved mesh. `messages`:
    "operators" or "edges", see `Branch`; `reach` in edge lengths, 0 for none, and `directions` of far edges, for those.
    `moving`: whether there is a branch on a moved mesh. `learned`: whether a network of width `interpolation` weights
    the `neighbours` between meshes; if not, fields are carried linearly on cells, or, if they are `curved`, with slopes
    at the nodes, see `bending`. `placed`: whether that network sees places alone, see `Placed`. `cut`: width of a small
    network that makes good what the way back loses, 0 for none. `residual`: whether a branch without a base adds its
    changes to the fields, or has to give the fields themselves.

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
    curved: bool = False
    cut: int = 0
    residual: bool = True
    base: str = ""
    numbers: tuple[str, ...] = ()
    leap: int = 1
    base_moves: bool = False

    def __post_init__(self) -> None:
        for name in ("bundle", "leap"):  # with none there would be no end of a bundle
            count(getattr(self, name), f"a number of frames in a {name}", low=1)
        if self.curved and self.learned:
            raise ValueError("Expected fields that are carried by learned weights or curved, not both (got both)")


class Branch(nn.Module):
    """Encode, process, decode: (N, inputs) to (N, outputs) on a graph. Nodes know their size besides their inputs.

    What a node learns of its neighbours, `messages`, are gradients and Laplacians of all features ("operators"), or
    sums over edges of a nonlinear function of both ends ("edges"), which takes twice as long.
    """

    def __init__(self, inputs: int, outputs: int, dim: int, width: int, layers: int, messages: str) -> None:
        super().__init__()
        if messages not in MESSAGES:
            raise ValueError(f"Expected messages {' or '.join(map(repr, MESSAGES))} (got {messages!r})")
        self.messages = messages
        kind = {"operators": _Differential, "edges": _AlongEdges}[messages]
        self.encode = nn.Sequential(nn.Linear(inputs + 1, width), nn.SiLU(), nn.Linear(width, width))
        self.layers = nn.ModuleList(kind(width, dim) for _ in range(layers))
        self.decode = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, outputs))

    def forward(self, inputs: Tensor, graph: Graph, unit: Tensor) -> Tensor:
        return self.decode(self.features(inputs, graph, unit))

    def features(self, inputs: Tensor, graph: Graph, unit: Tensor) -> Tensor:
        """(N, width) of the last layer."""
        h = self.encode(torch.cat([inputs, (graph.operators.size / unit).log()], 1))
        if self.messages == "operators":
            for layer in self.layers:
                h = layer(h, graph.operators)
        else:
            kinds = [(e, _seen(graph, e, unit)) for e in (graph.edges, graph.far) if e.shape[1]]
            for i, layer in enumerate(self.layers):
                h = layer(h, *kinds[i % len(kinds)])
        return h


class _Differential(nn.Module):
    """A nonlinear function of each node's features, their gradients and Laplacians."""

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear((dim + 2) * width, width)
        self.out = nn.Linear(width, width)

    def forward(self, h: Tensor, operators: Operators) -> Tensor:
        # `up` of values, gradients and Laplacians, with the linear map before them: fewer numbers are written
        width = h.shape[1]
        kinds = self.up.weight.view(width, -1, width).transpose(0, 1).reshape(-1, width)
        up = _sum(operators.summed(nn.functional.linear(self.norm(h), kinds)), self.up.bias)
        return _sum(self.out(nn.functional.silu(up, inplace=not torch.is_grad_enabled())), h)


def _sum(own: Tensor, other: Tensor) -> Tensor:
    """Of a tensor that nothing else uses, and another; in place without gradients, so that less memory is touched."""
    free = not torch.is_grad_enabled() and torch.result_type(own, other) == own.dtype
    return own.add_(other) if free else own + other


def _seen(graph: Graph, edges: Tensor, unit: Tensor) -> Tensor:
    """(E, d + 2): where an edge comes from, in units of length, how far that is, and its logarithm."""
    r = (graph.points[edges[0]] - graph.points[edges[1]]) / unit
    length = r.square().sum(1, keepdim=True).sqrt()
    return torch.cat([r, length, length.clamp_min(1e-6).log()], 1)


class _AlongEdges(nn.Module):
    """Messages along the mesh's edges and the far ones in turn.

    The first linear map of a message works on nodes, before they are gathered to edges, the second after they are
    summed, so that edges bear nothing but additions and the nonlinearity.

    References
    ----------
    Brandstetter, Worrall, Welling, Message passing neural PDE solvers (2022).
    """

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.here = nn.Linear(width, width)
        self.there = nn.Linear(width, width, bias=False)
        self.edge = nn.Linear(dim + 2, width, bias=False)
        self.gather = nn.Linear(width, width, bias=False)
        self.own = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, h: Tensor, edges: Tensor, seen: Tensor) -> Tensor:
        x = self.norm(h)
        start, end = edges
        message = self.there(x).index_select(0, start) + self.here(x).index_select(0, end) + self.edge(seen)
        message = nn.functional.silu(message)
        total = torch.zeros_like(h).index_add(0, end, message) / 6
        return h + self.out(nn.functional.silu(self.own(x) + self.gather(total)))
