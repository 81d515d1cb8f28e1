"""A Swin transformer in plain torch, with FiLM on the operator's coefficients after every stage."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Encoder", "FiLM", "fourier"]


def fourier(values: Tensor, octaves: int = 6) -> Tensor:
    """Values (B, k) with sines and cosines of their multiples, (B, k (1 + 2 octaves)).

    Examples
    --------
    >>> fourier(torch.zeros(2, 5)).shape
    torch.Size([2, 65])
    """
    angles = values[..., None] * (math.pi / 2 * 2.0 ** torch.arange(octaves, device=values.device))
    return torch.cat([values, angles.sin().flatten(1), angles.cos().flatten(1)], 1)


class FiLM(nn.Module):
    """Channels scaled and shifted by a condition (Perez et al., AAAI 2018); the identity at the start."""

    def __init__(self, condition: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(condition, 2 * width)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.linear(condition)[:, None, None].chunk(2, -1)
        return x * (1 + scale) + shift


class Block(nn.Module):
    """Attention within windows, every second block with windows shifted by half, then a two-layer perceptron."""

    def __init__(self, width: int, heads: int, window: int, shifted: bool, expansion: int = 4) -> None:
        super().__init__()
        self.heads, self.window, self.shifted = heads, window, shifted
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.join = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, expansion * width), nn.GELU(), nn.Linear(expansion * width, width))
        self.bias = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        at = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")).flatten(1)
        offset = at[:, :, None] - at[:, None] + window - 1
        self.register_buffer("offset", offset[0] * (2 * window - 1) + offset[1], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._attend(self.norm1(x))
        return x + self.mlp(self.norm2(x))

    def _attend(self, x: Tensor) -> Tensor:
        B, H, W, C = x.shape
        w = self.window
        shift = w // 2 if self.shifted and w < H else 0
        if shift:
            x = torch.roll(x, (-shift, -shift), (1, 2))
        x = x.view(B, H // w, w, W // w, w, C).transpose(2, 3).reshape(-1, w * w, C)
        q, k, v = self.qkv(x).view(-1, w * w, 3, self.heads, C // self.heads).permute(2, 0, 3, 1, 4)
        bias = self.bias[self.offset].permute(2, 0, 1)[None]
        if shift:
            bias = bias + _seams(H, W, w, shift, x.device)
            bias = bias.to(q.dtype).repeat(B, 1, 1, 1)
        x = F.scaled_dot_product_attention(q, k, v, bias.to(q.dtype))
        x = self.join(x.transpose(1, 2).reshape(-1, w * w, C))
        x = x.view(B, H // w, W // w, w, w, C).transpose(2, 3).reshape(B, H, W, C)
        return torch.roll(x, (shift, shift), (1, 2)) if shift else x


def _seams(H: int, W: int, w: int, shift: int, device: torch.device) -> Tensor:
    """(windows, 1, w², w²): minus infinity between tokens that the cyclic shift brought together."""
    part = torch.zeros(H, W, device=device)
    for i, rows in enumerate((slice(0, -w), slice(-w, -shift), slice(-shift, None))):
        for j, columns in enumerate((slice(0, -w), slice(-w, -shift), slice(-shift, None))):
            part[rows, columns] = 3 * i + j
    part = part.view(H // w, w, W // w, w).transpose(1, 2).reshape(-1, w * w)
    apart = part[:, :, None] != part[:, None]
    return torch.zeros(apart.shape, device=device).masked_fill(apart, -1e4)[:, None]


class Encoder(nn.Module):
    """Pictures to tokens on two grids: fine ones that know the whole, and the coarsest ones.

    A stem of strided convolutions, then stages of Swin blocks, each on a grid half as fine and twice as wide, FiLM
    after every stage; then back up to the grid of stage `fine` with skip connections, and two more blocks there.

    References
    ----------
    Liu et al., ICCV 2021; Bischof et al., arXiv 2509.05117 (which stops at the coarsest grid).
    """

    def __init__(
        self, channels: int, condition: int, patch: int, width: int, depths: tuple[int, ...], window: int, fine: int = 0
    ) -> None:
        super().__init__()
        self.fine = fine
        strides = [2] * int(math.log2(patch))
        widths = [width * 2**k // patch for k in range(1, len(strides) + 1)]
        stem: list[nn.Module] = []
        for before, after in zip([channels, *widths], widths, strict=False):
            stem += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.GELU()]
        self.stem = nn.Sequential(*stem, nn.Conv2d(widths[-1], width, 3, padding=1))
        sizes = [width * 2**s for s in range(len(depths))]
        self.stages = nn.ModuleList(self._stage(size, depth, window) for size, depth in zip(sizes, depths, strict=True))
        self.film = nn.ModuleList(FiLM(condition, size) for size in sizes)
        self.merge = nn.ModuleList(nn.Linear(4 * size, 2 * size) for size in sizes[:-1])
        self.rise = nn.ModuleList(nn.Linear(2 * size, 4 * size) for size in sizes[fine:-1])
        self.last = self._stage(sizes[fine], 2, window)
        self.last_film = FiLM(condition, sizes[fine])
        self.width, self.coarse_width = sizes[fine], sizes[-1]

    @staticmethod
    def _stage(width: int, depth: int, window: int) -> nn.Sequential:
        return nn.Sequential(*(Block(width, max(1, width // 32), window, bool(i % 2)) for i in range(depth)))

    def forward(self, picture: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Fine tokens (B, h, w, width) and coarse tokens (B, h', w', coarse width) of pictures (B, channels, n, n)."""
        x = self.stem(picture).permute(0, 2, 3, 1)
        skips = []
        for i, (stage, film) in enumerate(zip(self.stages, self.film, strict=True)):
            x = film(stage(x), condition)
            if i < len(self.merge):
                skips.append(x)
                B, H, W, C = x.shape
                x = self.merge[i](x.view(B, H // 2, 2, W // 2, 2, C).transpose(2, 3).reshape(B, H // 2, W // 2, 4 * C))
        coarse = x
        for rise, skip in zip(reversed(self.rise), reversed(skips[self.fine :]), strict=True):
            B, H, W, C = skip.shape
            x = rise(x).view(B, H // 2, W // 2, 2, 2, C).transpose(2, 3).reshape(B, H, W, C) + skip
        return self.last_film(self.last(x), condition), coarse
