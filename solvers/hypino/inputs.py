"""What the encoder sees: data scaled to unit amplitude, a rough solution to correct, other guesses."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .rough_solution import sweep

__all__ = ["CHANNELS", "GUESSES", "Inputs", "Turn", "prepare"]

#: channels of the picture that the encoder reads, and how many of the last ones are guesses at the solution
CHANNELS, GUESSES = 19, 6


@dataclass(frozen=True)
class Turn:
    """Which problems of a batch are seen with x and y swapped, and then with x or y reversed, (B,) each.

    So that the network meets every operator in one position only; exactly equivariant where that position is unique.
    """

    swap: Tensor
    flip_x: Tensor
    flip_y: Tensor

    @classmethod
    def of(cls, coefficients: Tensor) -> Turn:
        """The position in which uXX (or else uX) outweighs uYY, and uX, uY have the sign of the largest even term."""
        even = coefficients * coefficients.new_tensor([1.0, 0.0, 0.0, 1.0, 1.0])
        even = torch.where((even == 0).all(1, keepdim=True), coefficients, even)
        sign = torch.where(even.gather(1, even.abs().argmax(1, keepdim=True)) < 0, -1.0, 1.0)
        _, x, y, xx, yy = (coefficients * sign).unbind(1)
        swap = (yy.abs() > xx.abs()) | ((yy.abs() == xx.abs()) & (y.abs() > x.abs()))
        x, y = torch.where(swap, y, x), torch.where(swap, x, y)
        return cls(swap, x < 0, y < 0)

    def coefficients(self, c: Tensor) -> Tensor:
        c = torch.where(self.swap[:, None], c[:, [0, 2, 1, 4, 3]], c)
        one = torch.ones_like(c[:, 0])
        return c * torch.stack([one, 1 - 2.0 * self.flip_x, 1 - 2.0 * self.flip_y, one, one], 1)

    def raster(self, raster: Tensor) -> Tensor:
        swap, flip_x, flip_y = (t[:, None, None, None] for t in (self.swap, self.flip_x, self.flip_y))
        raster = torch.where(swap, raster.mT, raster)
        raster = torch.where(flip_x, raster.flip(-1), raster)
        return torch.where(flip_y, raster.flip(-2), raster)


@dataclass(frozen=True)
class Inputs:
    """A batch of problems in the encoder's own units.

    Attributes
    ----------
    picture
        (B, 19, n, n): masks, data, the rough solution and what it misses, coordinates, other guesses.
    rough
        (B, n, n): the rough solution, which the network corrects.
    others
        (B, 6, n, n): other guesses less the rough one, over `left`, compressed.
    coefficients
        (B, 5), the largest in magnitude is 1.
    scale
        (B,): amplitude of the data; the solution is the network's times this.
    left
        (B,): amplitude of what the rough solution misses; the correction is the network's times this.
    """

    picture: Tensor
    rough: Tensor
    others: Tensor
    coefficients: Tensor
    scale: Tensor
    left: Tensor


def prepare(coefficients: Tensor, raster: Tensor, sweeps: int) -> Inputs:
    """Scale a batch of problems and draw the picture that the encoder reads.

    The problem is linear: operator and source are divided by the largest coefficient, source and boundary data by
    their amplitude. A few sweeps of conjugate gradients give a rough solution (`sweep`); the network corrects it, in
    units of what it misses. Other guesses at the solution: the source through the regularised inverse of the operator's
    symbol, which knows no boundary, and the Dirichlet values that it misses, spread into the domain in several ways.

    Parameters
    ----------
    coefficients
        (B, 5) of u, uX, uY, uXX, uYY.
    raster
        (B, 6, n, n): Dirichlet mask, Neumann mask, Dirichlet values, Neumann values, source, inside.
    sweeps
        Of conjugate gradients.
    """
    largest = coefficients.abs().argmax(1, keepdim=True)
    size = coefficients.gather(1, largest)
    c = coefficients / size
    dirichlet, neumann, g, h, f, inside = raster.unbind(1)
    f = f * inside / size[:, :, None]
    rough = sweep(c, torch.cat([raster[:, :4], f[:, None], inside[:, None]], 1), sweeps)
    others = _guesses(c, f, g, dirichlet)
    count, around = (mask.sum((1, 2)).clamp_min(1) for mask in (dirichlet, neumann))
    scale = (g * g * dirichlet).sum((1, 2)) / count + (rough.values**2 * inside).mean((1, 2))
    scale = scale.sqrt().clamp_min(1e-15)
    left = rough.value.square().sum((1, 2)) / count + 0.1 * rough.flux.square().sum((1, 2)) / around
    left = (left + 4 * rough.equation.square().mean((1, 2))).sqrt().clamp_min(1e-15)
    left = left * scale / (left + scale)  # no more than the solution itself
    n = raster.shape[-1]
    x = torch.linspace(-1 + 1 / n, 1 - 1 / n, n, dtype=f.dtype, device=f.device).expand_as(f)
    order = torch.tensor([1.0, 5.0, 5.0, 25.0, 25.0], dtype=f.dtype, device=f.device)
    strength = (c.abs() * order).sum(1)[:, None, None]
    by, rest = scale[:, None, None], left[:, None, None]
    data = [dirichlet, neumann, inside, g / by, torch.asinh(h / (5 * by)), torch.asinh(f / (strength * by))]
    data += [torch.asinh(rough.values / by), x, x.mT, (rest / by).log().expand_as(f) / 3]
    data += [torch.asinh(a / rest) for a in (rough.value, rough.flux / 3, 5 * rough.equation)]
    # a guess that met a resonance may be anything
    others = (others - rough.values[:, None]) / rest[:, None]
    others = others / (1 + others.abs() / 5)
    return Inputs(torch.cat([torch.stack(data, 1), others], 1), rough.values / by, others, c, scale, left / scale)


def _guesses(c: Tensor, f: Tensor, g: Tensor, mask: Tensor) -> Tensor:
    """(B, 6, n, n): those without sweeps."""
    out = []
    for particular, spreads in zip(_particular(c, f, (0.3, 3.0)), ((2.0, 0.3), (1.0,)), strict=True):
        missed = (g - particular) * mask
        out += [particular + _spread(c, missed, mask, e) for e in spreads]
        out += [particular + _between(c[:, [0, 1, 3]], missed, mask)]
        out += [particular + _between(c[:, [0, 2, 4]], missed.mT, mask.mT).mT]
    return torch.stack(out[:-1], 1)


def _symbol(c: Tensor, kx: Tensor, ky: Tensor) -> Tensor:
    c = c[:, :, None, None]
    return torch.complex(c[:, 0] - c[:, 3] * kx**2 - c[:, 4] * ky**2, c[:, 1] * kx + c[:, 2] * ky)


def _particular(c: Tensor, f: Tensor, floors: tuple[float, ...]) -> list[Tensor]:
    """Solve L u = f by Fourier transforms, damping wave numbers where the symbol is under a floor.

    On a larger, antiperiodic square, on which no wave number is zero.
    """
    n = f.shape[-1]
    m = 3 * n // 2
    k = 2 * torch.pi * torch.fft.fftfreq(m, d=2 / n, dtype=f.dtype, device=f.device) + torch.pi * n / (2 * m)
    half = torch.polar(torch.ones_like(k), torch.pi / m * torch.arange(m, dtype=f.dtype, device=f.device))[:n]
    twist = half * half[:, None]
    symbol = _symbol(c, k, k[:, None])
    spectrum = torch.fft.fft2(f * twist.conj(), s=(m, m)) * symbol.conj()
    square = symbol.real**2 + symbol.imag**2
    return [(torch.fft.ifft2(spectrum / (square + e * e))[:, :n, :n] * twist).real for e in floors]


def _spread(c: Tensor, values: Tensor, mask: Tensor, floor: float, rounds: int = 3) -> Tensor:
    """Boundary values spread by a kernel of the operator, the inverse modulus of its symbol without the u-term.

    Values and mask are blurred and divided; what is still missed at the boundary is spread again.
    """
    n = values.shape[-1]
    m = 3 * n // 2
    k = 2 * torch.pi * torch.fft.fftfreq(m, d=2 / n, dtype=c.dtype, device=c.device)
    rest = torch.cat([torch.zeros_like(c[:, :1]), c[:, 1:]], 1)
    kernel = 1 / (_symbol(rest, k[: m // 2 + 1].abs(), k[:, None]).abs() + floor)

    def blur(field: Tensor) -> Tensor:
        return torch.fft.irfft2(torch.fft.rfft2(field, s=(m, m)) * kernel, s=(m, m))[:, :n, :n]

    weight, out, left = blur(mask).clamp_min(1e-6), torch.zeros_like(values), values
    for _ in range(rounds):
        more = blur(left) / weight
        out, left = out + more, (left - more) * mask
    return out


def _between(line: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """Row by row, between neighbouring boundary pixels: what solves a v'' + b v' + c v = 0 with the values of both.

    `line`: c, b, a of every problem, (B, 3). Beyond the last boundary pixel of a row v' / v stays, or v does where the
    equation is of second order; zero in rows without any.
    """
    n = values.shape[-1]
    at = torch.arange(n, device=values.device).expand(values.shape)
    before = torch.where(mask > 0, at, -1).cummax(2).values
    after = torch.where(mask > 0, at, n).flip(2).cummin(2).values.flip(2)
    low, high = values.gather(2, before.clamp_min(0)), values.gather(2, after.clamp_max(n - 1))
    left, right = (2 / n) * (at - before), (2 / n) * (after - at)
    from_low, from_high = _through(line, left, right)
    alone = _growth(line)
    from_low = torch.where(after == n, (alone * left).clamp(-4, 2).exp(), from_low)
    from_high = torch.where(before < 0, (-alone * right).clamp(-4, 2).exp(), from_high)
    on = mask > 0
    inner = low * from_low * (before >= 0) + high * from_high * (after < n)
    return torch.where(on, values, inner)


def _growth(line: Tensor) -> Tensor:
    """v' / v of an equation of first order, else 0: (B, 1, 1)."""
    c, b, a = line[:, :, None, None].unbind(1)
    first = (a == 0) & (b != 0)
    return torch.where(first, -c / torch.where(first, b, 1), 0)


def _through(line: Tensor, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Solutions with values 1 and 0, and 0 and 1, at distances `left` and `right` from the ends of their intervals."""
    c, b, a = line[:, :, None, None].unbind(1)
    length = (left + right).clamp_min(1e-6)
    second = a != 0
    a = torch.where(second, a, 1)
    p = torch.where(second, -b / (2 * a), 0)
    d = torch.where(second, p * p - c / a, 0)
    q = d.abs().sqrt().clamp_min(1e-3)
    real = d >= 0

    def share(s: Tensor, lift: Tensor) -> Tensor:
        """exp(lift) sinh(q s) / sinh(q length), or with sines, damped near their zeros."""
        rest = length - s
        steep = (lift - q * rest).clamp_max(3).exp() * (1 - (-2 * q * s).exp()) / (1 - (-2 * q * length).exp())
        whole = (q * length).sin()
        return torch.where(real, steep, lift.clamp_max(3).exp() * (q * s).sin() * whole / (whole**2 + 0.03))

    from_low, from_high = share(right, p * left), share(left, -p * right)
    # of first order: carried from both ends, the nearer counts more
    carried, t = _growth(line), left / length
    first = (line[:, 2] == 0)[:, None, None]
    from_low = torch.where(first, (1 - t) * (carried * left).clamp(-4, 2).exp(), from_low)
    return from_low, torch.where(first, t * (-carried * right).clamp(-4, 2).exp(), from_high)
