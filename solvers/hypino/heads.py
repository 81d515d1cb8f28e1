"""From tokens to the numbers of the emitted networks: fields from fine tokens, tanh weights by attention pooling."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate, pad, scaled_dot_product_attention

from .inputs import GUESSES, Inputs
from .jets import fourier_width, nodal_to_lattice, shapes

__all__ = ["FieldHead", "WeightHead"]


class FieldHead(nn.Module):
    """Coefficients of the Gaussian lattice: each fine token writes `detail` by `detail` nodal values of every field.

    The first field is the rough solution with a correction, zero at the start. The others start as what other guesses
    differ by, with no weight in the solution.
    """

    def __init__(self, width: int, condition: int, fields: int, detail: int) -> None:
        super().__init__()
        self.fields, self.detail = fields, detail
        self.norm = nn.LayerNorm(width)
        self.values = nn.Linear(width, fields * detail**2)
        self.gates = nn.Linear(width, GUESSES)
        self.gates_of_operator = nn.Linear(condition, GUESSES)
        self.mixture = nn.Linear(width + condition, fields)
        for layer in (self.values, self.gates, self.gates_of_operator, self.mixture):
            nn.init.normal_(layer.weight, std=2e-4)
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            self.mixture.bias[0] = 1.0

    def forward(self, tokens: Tensor, condition: Tensor, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """Coefficients (B, F, M, M) and weights (B, F) of the fields from tokens (B, h, w, C)."""
        tokens = self.norm(tokens)
        B, h, w, _ = tokens.shape
        d, F = self.detail, self.fields
        nodal = self.values(tokens).view(B, h, w, F, d, d).permute(0, 3, 1, 4, 2, 5).reshape(B, F, h * d, w * d)
        gates = self.gates(tokens).permute(0, 3, 1, 2)
        gates = interpolate(gates, (h * d, w * d), mode="bilinear", align_corners=False)
        gates = gates + self.gates_of_operator(condition)[:, :, None, None]
        pixels = torch.cat([inputs.rough[:, None], inputs.others], 1)
        rough, others = adaptive_avg_pool2d(pixels, (h * d, w * d)).split([1, GUESSES], 1)
        start = torch.cat([(gates * others).sum(1, keepdim=True), others[:, : F - 1]], 1)
        nodal = inputs.left[:, None, None, None] * (nodal + pad(start, (0, 0, 0, 0, 0, F - start.shape[1])))
        nodal = torch.cat([nodal[:, :1] + rough, nodal[:, 1:]], 1)
        mixture = self.mixture(torch.cat([tokens.mean((1, 2)), condition], 1))
        return nodal_to_lattice(nodal), mixture


class WeightHead(nn.Module):
    """Weights of a modulated tanh network: a query per matrix and bias pools the coarse tokens, a perceptron writes it.

    What is written is the difference from learned weights that all problems share; of rank `rank` for hidden layers.
    """

    def __init__(self, width: int, condition: int, hidden: int, rank: int) -> None:
        super().__init__()
        self.hidden, self.rank = hidden, rank
        self.sizes = {name: math.prod(shape) for name, shape in shapes(hidden).items() if name not in ("W2", "W3")}
        self.sizes |= {f"{name}{side}": hidden * rank for name in ("W2", "W3") for side in ("left", "right")}
        self.norm = nn.LayerNorm(width)
        self.queries = nn.Parameter(torch.randn(len(self.sizes), width) / math.sqrt(width))
        self.keys_values = nn.Linear(width, 2 * width)
        self.mix = nn.Sequential(
            nn.Linear(width + condition, 2 * width), nn.GELU(), nn.Linear(2 * width, width), nn.GELU()
        )
        self.write = nn.ModuleDict({name: nn.Linear(width, size) for name, size in self.sizes.items()})
        for name, layer in self.write.items():
            nn.init.normal_(layer.weight, std=1e-3 if name == "out" else 0.5 / math.sqrt(width))
            nn.init.zeros_(layer.bias)
        self.shared = nn.ParameterDict({k: nn.Parameter(_start(k, s)) for k, s in shapes(hidden).items()})

    def forward(self, tokens: Tensor, condition: Tensor) -> dict[str, Tensor]:
        """Weights by name, each (B, ...), from coarse tokens (B, h, w, C)."""
        x = self.norm(tokens).flatten(1, 2)
        keys, values = self.keys_values(x).chunk(2, -1)
        heads = max(1, x.shape[-1] // 32)
        q = self.queries.to(x.dtype).expand(len(x), -1, -1)
        split = (t.unflatten(-1, (heads, -1)).transpose(1, 2) for t in (q.to(keys.dtype), keys, values))
        pooled = scaled_dot_product_attention(*split).transpose(1, 2).flatten(2)
        pooled = self.mix(torch.cat([pooled, condition[:, None].expand(-1, pooled.shape[1], -1)], -1))
        raw = {name: self.write[name](pooled[:, i]).float() for i, name in enumerate(self.sizes)}
        net = {}
        for name, shape in shapes(self.hidden).items():
            if name in ("W2", "W3"):
                left, right = (raw[name + side].view(-1, self.hidden, self.rank) for side in ("left", "right"))
                delta = left @ right.transpose(1, 2) / math.sqrt(self.hidden)
            else:
                delta = raw[name].view(-1, *shape)
            net[name] = self.shared[name] + delta
        return net


def _start(name: str, shape: tuple[int, ...]) -> Tensor:
    if name == "out":
        return torch.zeros(shape)
    if len(shape) == 1:
        return 0.5 * torch.randn(shape)
    if shape[1] != fourier_width():
        return 1.5 * torch.randn(shape) / math.sqrt(shape[1])
    return torch.randn(shape) * (0.6 if name == "W1" else 0.4)
