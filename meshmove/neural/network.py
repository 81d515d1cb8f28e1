"""The message-passing network: from invariants of a mesh and its residual to coefficients at the nodes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

__all__ = ["Advisor"]


class Neighbours(MessagePassing):
    """One layer: h + MLP(h, mean of the neighbours' gated differences).

    The message from j to i is gelu(send(h_j) + receive(h_i)); both linear maps act on nodes, before gathering.
    """

    def __init__(self, width: int) -> None:
        super().__init__(aggr="mean")
        self.send, self.receive = nn.Linear(width, width, bias=False), nn.Linear(width, width)
        self.mix = nn.Sequential(nn.Linear(2 * width, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, h: Tensor, edges: Tensor) -> Tensor:
        heard = self.propagate(edges, sent=self.send(h), received=self.receive(h), size=(len(h), len(h)))
        return h + self.mix(torch.cat([h, heard], 1))

    def message(self, sent_j: Tensor, received_i: Tensor) -> Tensor:
        return nn.functional.gelu(sent_j + received_i)


class Advisor(nn.Module):
    """Features (n, inputs) to coefficients (n, outputs), all of them invariants; `round` tells the rounds apart.

    Starts as the constant `bias`: an untrained network is a plain iteration.
    """

    def __init__(self, inputs: int, bias: list[float], rounds: int, width: int, layers: int) -> None:
        super().__init__()
        self.embed = nn.Linear(inputs, width)
        self.rounds = nn.Embedding(rounds, width)
        self.layers = nn.ModuleList([Neighbours(width) for _ in range(layers)])
        self.head = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, len(bias)))
        self.base = nn.Embedding(rounds, len(bias))
        nn.init.zeros_(self.head[-1].weight)
        nn.init.zeros_(self.head[-1].bias)
        nn.init.zeros_(self.rounds.weight)
        with torch.no_grad():
            self.base.weight.copy_(torch.tensor(bias).expand(rounds, -1))

    def forward(self, features: Tensor, edges: Tensor, round: int) -> Tensor:
        kind = self.embed.weight.dtype
        number = torch.tensor(round, device=features.device)
        h = nn.functional.gelu(self.embed(features.to(kind)) + self.rounds(number))
        for layer in self.layers:
            h = layer(h, edges)
        return (self.head(h) + self.base(number)).to(features.dtype)
