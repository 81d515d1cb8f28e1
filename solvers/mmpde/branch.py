"""One branch of the stepper: message passing over a graph, from the state to its changes over a bundle of frames."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .graph import Graph

__all__ = ["Branch"]


class Branch(nn.Module):
    """Encode, process, decode: (N, inputs) to (N, outputs) on a graph.

    Messages take the mesh's edges and the far ones in turn. The first linear map of a message works on nodes, before
    they are gathered to edges, the second after they are summed, so that edges bear nothing but additions and the
    nonlinearity.

    References
    ----------
    Brandstetter, Worrall, Welling, Message passing neural PDE solvers (2022).
    """

    def __init__(self, inputs: int, outputs: int, dim: int, width: int, layers: int) -> None:
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width))
        self.layers = nn.ModuleList(_Layer(width, dim) for _ in range(layers))
        self.decode = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, outputs))

    def forward(self, inputs: Tensor, graph: Graph, unit: Tensor) -> Tensor:
        h = self.encode(inputs)
        kinds = [(e, _seen(graph, e, unit)) for e in (graph.edges, graph.far) if e.shape[1]]
        for i, layer in enumerate(self.layers):
            h = layer(h, *kinds[i % len(kinds)])
        return self.decode(h)


def _seen(graph: Graph, edges: Tensor, unit: Tensor) -> Tensor:
    """(E, d + 2): where an edge comes from, in units of length, how far that is, and its logarithm."""
    r = (graph.points[edges[0]] - graph.points[edges[1]]) / unit
    length = r.square().sum(1, keepdim=True).sqrt()
    return torch.cat([r, length, length.clamp_min(1e-6).log()], 1)


class _Layer(nn.Module):
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
