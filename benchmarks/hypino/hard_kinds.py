"""The kinds of `benchmarks.hypino.hard`: each makes a problem whose solution has a formula, harder as `level` grows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.hypino.manufactured import Jet
from meshmove.geometry import Disk, Polygon, Rectangle
from meshmove.geometry.domains import Domain
from meshmove.solvers.pde import Dirichlet, Interval, LinearPDE, Neumann, TimeInterval

__all__ = ["KINDS", "Hard", "around", "channel", "gauss", "jets", "layer", "stated"]

Array = NDArray[np.float64]
Field = Callable[[Array], Array]
Rng = np.random.Generator
Made = Callable[[Rng, int], "Hard"]


@dataclass(frozen=True)
class Hard:
    """A problem, its solution, and the coordinates along x and along y at which that is steep."""

    name: str
    pde: LinearPDE
    exact: Field
    steep: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())


SIDES = ("bottom", "right", "top", "left")
UNIT = Rectangle((0, 0), (1, 1), names=SIDES)


def around(value: Field | float, domain: Domain = UNIT) -> dict[str, Dirichlet | Neumann]:
    return {name: Dirichlet(value) for name in domain.boundary_names}


def channel(left: float = 0.0, right: float = 0.0) -> dict[str, Dirichlet | Neumann]:
    return {"left": Dirichlet(left), "right": Dirichlet(right), "bottom": Neumann(), "top": Neumann()}


def _grows(rng: Rng, level: int, easy: float, hard: float) -> float:
    """From `easy` at level 0 to `hard` at level 6, in equal factors, a little off."""
    return float(easy * (hard / easy) ** np.clip((level + rng.uniform(-0.4, 0.4)) / 6, 0, 1))


def jets(x: Array) -> tuple[Jet, Jet]:
    one, zero = np.ones(x.shape[1]), np.zeros(x.shape[1])
    return Jet(x[0], one, zero, zero, zero), Jet(x[1], zero, one, zero, zero)


def stated(name: str, jet: Callable[[Array], Jet], steep: tuple, domain: Domain = UNIT, **terms: float) -> Hard:
    """The problem of a function: its source and its values all around."""
    value: Field = lambda x: jet(x).u  # noqa: E731

    def source(x: Array) -> Array:
        j = jet(x)
        by_name = {"u": j.u, "ux": j.x, "uy": j.y, "uxx": j.xx, "uyy": j.yy}
        return sum((c * by_name[n] for n, c in terms.items()), np.zeros(x.shape[1]))

    pde = LinearPDE(domain, **terms, source=source, conditions=around(value, domain))
    return Hard(name, pde, value, steep)


# -- layers ---------------------------------------------------------------------------------------------------------


def layer(s: Array, eps: float) -> Array:
    """(exp((s - 1)/eps) - exp(-1/eps)) / (1 - exp(-1/eps)): the layer at s = 1 of eps u'' = u'."""
    return (np.exp((s - 1) / eps) - np.exp(-1 / eps)) / (1 - np.exp(-1 / eps))


def outflow_layer(rng: Rng, level: int) -> Hard:
    """-eps Laplace u + u_x = 1: the data know nothing of the layer."""
    eps, source = _grows(rng, level, 0.1, 1e-4), rng.uniform(0.5, 2)
    pde = LinearPDE(UNIT, uxx=-eps, uyy=-eps, ux=1.0, source=source, conditions=channel())
    return Hard(f"outflow {eps:.0e}", pde, lambda x: source * (x[0] - layer(x[0], eps)), ((1.0,), ()))


def two_sided_layer(rng: Rng, level: int) -> Hard:
    """-eps^2 Laplace u + u = 1."""
    eps = _grows(rng, level, 0.1, 1e-4)
    pde = LinearPDE(UNIT, uxx=-(eps**2), uyy=-(eps**2), u=1.0, source=1.0, conditions=channel())
    exact = lambda x: 1 - (np.exp(-x[0] / eps) + np.exp((x[0] - 1) / eps)) / (1 + np.exp(-1 / eps))  # noqa: E731
    return Hard(f"two-sided {eps:.0e}", pde, exact, ((0.0, 1.0), ()))


def product_layer(rng: Rng, level: int) -> Hard:
    """The layer times a wave, its source given."""
    eps, waves = _grows(rng, level, 0.1, 1e-3), rng.uniform(1, 6)

    def jet(x: Array) -> Jet:
        a, b = jets(x)
        along = lambda s: (s - (e := layer(s, eps)), 1 - (d := (e + 0 * s) / eps), -d / eps)  # noqa: E731
        return a.through(along) * b.through(
            lambda s: (np.cos(waves * s), -waves * np.sin(waves * s), -(waves**2) * np.cos(waves * s))
        )

    return stated(f"product layer {eps:.0e}", jet, ((1.0,), ()), uxx=-eps, uyy=-eps, ux=1.0)


def corner_layers(rng: Rng, level: int) -> Hard:
    """-eps Laplace u + a u_x + b u_y = 0 with values of exp((a (x - 1) + b (y - 1))/eps)."""
    eps, a = _grows(rng, level, 0.1, 1e-3), rng.uniform(0.5, 1)
    exact: Field = lambda x: 1 + np.exp(a * (x[0] - 1) / eps) * 1.0 + 0.5 * np.exp((x[1] - 1) / eps)  # noqa: E731
    pde = LinearPDE(UNIT, uxx=-eps, uyy=-eps, ux=a, uy=1.0, conditions=around(exact))
    return Hard(f"two layers {eps:.0e}", pde, exact, ((1.0,), (1.0,)))


# -- inside ---------------------------------------------------------------------------------------------------------


def gauss(a: float) -> Callable[[Array], tuple[Array, Array, Array]]:
    return lambda s: ((e := np.exp(-a * s**2)), -2 * a * s * e, (4 * a**2 * s**2 - 2 * a) * e)


def peak(rng: Rng, level: int) -> Hard:
    """exp(-a r^2), a up to 2e5 (Mitchell, A collection of 2D elliptic problems, 2013)."""
    a, (p, q) = _grows(rng, level, 1e2, 2e5), rng.uniform(0.25, 0.75, 2)

    def jet(x: Array) -> Jet:
        s, t = jets(x)
        return s.scaled(1, -p).through(gauss(a)) * t.scaled(1, -q).through(gauss(a))

    return stated(f"peak {a:.0e}", jet, ((p,), (q,)), uxx=-1, uyy=-1)


def peak_on_waves(rng: Rng, level: int) -> Hard:
    """A narrow peak on a smooth function."""
    a, (p, q), k = _grows(rng, level, 1e3, 2e5), rng.uniform(0.25, 0.75, 2), rng.uniform(2, 5)

    def jet(x: Array) -> Jet:
        s, t = jets(x)
        wave = (s + t.scaled(0.5)).through(lambda v: (np.sin(k * v), k * np.cos(k * v), -(k**2) * np.sin(k * v)))
        return wave.scaled(0.3) + s.scaled(1, -p).through(gauss(a)) * t.scaled(1, -q).through(gauss(a))

    return stated(f"peak on waves {a:.0e}", jet, ((p,), (q,)), uxx=-1, uyy=-1)


def wave_front(rng: Rng, level: int) -> Hard:
    """arctan(a (r - r0)) around a point outside."""
    a, r0 = _grows(rng, level, 20, 2000), rng.uniform(0.5, 0.9)
    p, q = rng.uniform(-0.3, -0.05, 2)

    def jet(x: Array) -> Jet:
        s, t = (j.scaled(1, -c) for j, c in zip(jets(x), (p, q), strict=True))
        r = (s * s + t * t).through(lambda v: (v**0.5, 0.5 * v**-0.5, -0.25 * v**-1.5))
        front = lambda v: (np.arctan(v), 1 / (1 + v**2), -2 * v / (1 + v**2) ** 2)  # noqa: E731
        return r.scaled(a, -a * r0).through(front)

    return stated(f"front {a:.0e}", jet, ((), ()), uxx=-1, uyy=-1)


def interior_layer(rng: Rng, level: int) -> Hard:
    """eps u_xx + (x - p) u_x = 0, u = erf((x - p)/sqrt(2 eps)): a turning point."""
    from scipy.special import erf

    eps, p = _grows(rng, level, 0.1, 1e-5), rng.uniform(0.3, 0.7)
    exact: Field = lambda x: erf((x[0] - p) / np.sqrt(2 * eps))  # noqa: E731
    pde = LinearPDE(UNIT, uxx=eps, uyy=eps, ux=lambda x: x[0] - p, conditions=around(exact))
    return Hard(f"turning point {eps:.0e}", pde, exact, ((p,), ()))


def rough_coefficient(rng: Rng, level: int) -> Hard:
    """-(a u')' = 1, 1/a = 2 + cos(2 pi m x), m periods up to 100."""
    m = int(_grows(rng, level, 2, 100))
    k = 2 * np.pi * m
    # a u' = c - x; u = int (c - x)(2 + cos k x): c with u(1) = 0
    part = lambda x, c: 2 * (c * x - x**2 / 2) + (c - x) * np.sin(k * x) / k - (np.cos(k * x) - 1) / k**2  # noqa: E731
    c = (1.0 + (np.cos(k) - 1) / k**2 + np.sin(k) / k) / (2 + np.sin(k) / k)
    a: Field = lambda x: 1 / (2 + np.cos(k * x[0]))  # noqa: E731
    slope: Field = lambda x: k * np.sin(k * x[0]) * a(x) ** 2  # noqa: E731
    pde = LinearPDE(
        UNIT, uxx=lambda x: -a(x), uyy=lambda x: -a(x), ux=lambda x: -slope(x), source=1.0, conditions=channel()
    )
    return Hard(f"{m} periods", pde, lambda x: part(x[0], c))


def jump_in_source(rng: Rng, level: int) -> Hard:
    """-Laplace u = 1 left of p, else -4; and a thin strip of 1/width."""
    p, width = rng.uniform(0.3, 0.7), _grows(rng, level, 0.3, 1e-3)
    q = min(p + width, 0.98)
    height = 1 / (q - p)
    moment = lambda x: np.where(x < p, 0, np.where(x < q, (x - p) ** 2 / 2, (q - p) * (x - (p + q) / 2)))  # noqa: E731
    whole = height * moment(np.array(1.0))
    pde = LinearPDE(UNIT, uxx=-1, uyy=-1, source=lambda x: height * ((x[0] >= p) & (x[0] < q)), conditions=channel())
    return Hard(f"strip {width:.0e}", pde, lambda x: whole * x[0] - height * moment(x[0]), ((p, q), ()))


# -- resonances and waves ---------------------------------------------------------------------------------------------


def near_resonance(rng: Rng, level: int) -> Hard:
    """-u'' - k^2 u = 1, k a little off m pi."""
    m, off = 2 * int(rng.integers(0, 3)) + 1, _grows(rng, level, 0.3, 1e-7) * rng.choice([-1, 1])
    k = np.pi * m * (1 + off)
    pde = LinearPDE(UNIT, uxx=-1, uyy=-1, u=-(k**2), source=1.0, conditions=channel())
    return Hard(f"resonance {m} {off:.0e}", pde, lambda x: (np.cos(k * (x[0] - 0.5)) / np.cos(k / 2) - 1) / k**2)


def plane_waves(rng: Rng, level: int) -> Hard:
    """Laplace u + k^2 u = 0, k up to 120."""
    k, turn = _grows(rng, level, 5, 120), rng.uniform(0, np.pi)
    exact: Field = lambda x: np.sin(k * (np.cos(turn) * x[0] + np.sin(turn) * x[1]) + 1)  # noqa: E731
    pde = LinearPDE(UNIT, uxx=1, uyy=1, u=k**2, conditions=around(exact))
    return Hard(f"waves k={k:.0f}", pde, exact)


# -- the boundary ---------------------------------------------------------------------------------------------------


def pole_outside(rng: Rng, level: int) -> Hard:
    """Im 1/(z - c), c just below the domain: a spike of boundary values."""
    d, p = _grows(rng, level, 0.3, 1e-4), rng.uniform(0.2, 0.8)
    exact: Field = lambda x: (x[1] + d) / ((x[0] - p) ** 2 + (x[1] + d) ** 2)  # noqa: E731
    return Hard(f"pole {d:.0e}", LinearPDE(UNIT, uxx=-1, uyy=-1, conditions=around(exact)), exact, ((p,), (0.0,)))


def _square(*holes: Domain) -> Domain:
    return Rectangle((-1, -1), (1, 1), name="outer") - list(holes)


def gap_of_disks(rng: Rng, level: int) -> Hard:
    """log |z - f|/|z + f|: constant on two disks, gap up to 1e-3 apart."""
    gap, r = _grows(rng, level, 0.2, 1e-3), rng.uniform(0.2, 0.35)
    center = r + gap / 2
    focus = np.sqrt(center**2 - r**2)
    turn = rng.uniform(0, np.pi)
    c, s = np.cos(turn), np.sin(turn)

    def exact(x: Array) -> Array:
        a = c * x[0] + s * x[1]
        b = c * x[1] - s * x[0]
        return 0.5 * np.log(((a + focus) ** 2 + b**2) / ((a - focus) ** 2 + b**2))

    value = float(exact(np.array([[c], [s]]) * gap / 2)[0])
    one, other = Disk((center * c, center * s), r, name="a"), Disk((-center * c, -center * s), r, name="b")
    conditions = {"outer": Dirichlet(exact), "a": Dirichlet(value), "b": Dirichlet(-value)}
    return Hard(f"gap {gap:.0e}", LinearPDE(_square(one, other), uxx=-1, uyy=-1, conditions=conditions), exact)


def gap_with_flux(rng: Rng, level: int) -> Hard:
    """The conjugate function, the angle between the foci's rays: no flux through the disks, much between them."""
    it = gap_of_disks(rng, level)
    a, b = it.pde.domain.left.right, it.pde.domain.right  # type: ignore[attr-defined]
    mid, half = np.add(a.center, b.center) / 2, np.subtract(a.center, b.center) / 2
    focus = complex(*half) / abs(complex(*half)) * np.sqrt(abs(complex(*half)) ** 2 - a.radius**2)

    def exact(x: Array) -> Array:
        # the cut of the logarithm is the segment between the foci; it crosses the gap, so take the real part of a
        # function with no cut there: z/(z^2 - f^2) has poles at the foci, inside the disks
        z = x[0] + 1j * x[1] - complex(*mid)
        return (z / (z**2 - focus**2)).real * abs(focus) ** 1

    def flux(x: Array) -> Array:
        z = x[0] + 1j * x[1] - complex(*mid)
        d = -(z**2 + focus**2) / (z**2 - focus**2) ** 2 * abs(focus) ** 1
        n = it.pde.domain.normal(x)
        return d.real * n[0] - d.imag * n[1]

    conditions = {"outer": Dirichlet(exact), "a": Neumann(flux), "b": Neumann(flux)}
    return Hard(it.name + " flux", LinearPDE(it.pde.domain, uxx=-1, uyy=-1, conditions=conditions), exact)


def hole_at_the_rim(rng: Rng, level: int) -> Hard:
    """A disk in a disk, their rims a gap apart at one side: constant on both."""
    gap, r = _grows(rng, level, 0.3, 1e-3), rng.uniform(0.2, 0.4)
    d = 1 - r - gap  # distance of centres; foci p < q on the axis with p q = 1, (p - d)(q - d) = r^2
    total = (1 + d**2 - r**2) / d
    p = (total - np.sqrt(total**2 - 4)) / 2
    q = 1 / p
    exact: Field = lambda x: 0.5 * np.log(((x[0] - p) ** 2 + x[1] ** 2) / ((x[0] - q) ** 2 + x[1] ** 2))  # noqa: E731
    domain = Disk((0, 0), 1, name="rim") - Disk((d, 0), r, name="hole")
    at = [float(exact(np.array([[s], [0.0]]))[0]) for s in (-1.0, d - r)]
    conditions = {"rim": Dirichlet(at[0]), "hole": Dirichlet(at[1])}
    return Hard(f"rim gap {gap:.0e}", LinearPDE(domain, uxx=-1, uyy=-1, conditions=conditions), exact)


def small_hole(rng: Rng, level: int) -> Hard:
    """log r + x around a hole of radius down to 1e-4."""
    r, (p, q) = _grows(rng, level, 0.2, 1e-4), rng.uniform(-0.5, 0.5, 2)
    exact: Field = lambda x: 0.5 * np.log((x[0] - p) ** 2 + (x[1] - q) ** 2) + 0.5 * x[0]  # noqa: E731
    domain = _square(Disk((p, q), r, name="hole"))
    return Hard(
        f"hole {r:.0e}", LinearPDE(domain, uxx=-1, uyy=-1, conditions=around(exact, domain)), exact, ((p,), (q,))
    )


def corner(rng: Rng, level: int) -> Hard:
    """r^(k pi/omega) at a re-entrant corner, or a power that the corner does not know."""
    omega = float(rng.uniform(1.1, 1.9) * np.pi)
    power = float(np.pi / omega if level % 2 else rng.uniform(0.55, 1.8))
    n = max(3, int(omega / 0.6))
    angle = np.linspace(0, omega, n)
    rim = np.stack([np.cos(angle), np.sin(angle)]) / np.cos(omega / (n - 1) / 2) * 0.7
    domain = Polygon(((0.0, 0.0), *((float(a), float(b)) for a, b in rim.T)), "all")

    def exact(x: Array) -> Array:
        theta = np.mod(np.arctan2(x[1], x[0]) + 0.5 * (2 * np.pi - omega), 2 * np.pi) - 0.5 * (2 * np.pi - omega)
        return np.hypot(x[0], x[1]) ** power * np.sin(power * theta + (level % 3) * 0.4)

    name = f"corner {omega / np.pi:.2f} pi, power {power:.2f}"
    return Hard(name, LinearPDE(domain, uxx=-1, uyy=-1, conditions=around(exact, domain)), exact, ((0.0,), (0.0,)))


def jumping_data(rng: Rng, level: int) -> Hard:
    """The angle around a point of the lower side: boundary values that jump, smeared over d."""
    d, p = _grows(rng, level, 0.1, 1e-5), rng.uniform(0.2, 0.8)
    exact: Field = lambda x: np.arctan2(x[1] + d, x[0] - p) / np.pi  # noqa: E731
    return Hard(f"jump {d:.0e}", LinearPDE(UNIT, uxx=-1, uyy=-1, conditions=around(exact)), exact, ((p,), (0.0,)))


# -- time -----------------------------------------------------------------------------------------------------------


def _rod(name: str, exact: Field, steep: tuple, **terms: float | Field) -> Hard:
    more: dict = {"velocity": terms.pop("velocity")} if "velocity" in terms else {}
    ends = {"left": Dirichlet(exact), "right": Dirichlet(exact)}
    box = {"time": TimeInterval(0, 1), "initial": exact, "conditions": ends, **more}
    return Hard(name, LinearPDE(Interval(0, 1), **terms, **box), exact, steep)  # type: ignore[arg-type]


def heat_jump(rng: Rng, level: int) -> Hard:
    """Heat from an end that was suddenly warmed a time t0 before the start."""
    from scipy.special import erfc

    a, t0 = rng.uniform(0.02, 0.2), _grows(rng, level, 0.1, 1e-6)
    exact: Field = lambda x: erfc(x[0] / np.sqrt(4 * a * (x[1] + t0)))  # noqa: E731
    return _rod(f"heat {t0:.0e}", exact, ((0.0,), (0.0,)), ut=1.0, uxx=-a)


def carried_pulse(rng: Rng, level: int) -> Hard:
    """u_t + c u_x = eps u_xx: a spreading pulse."""
    eps, c, width = _grows(rng, level, 1e-2, 1e-6), rng.uniform(0.3, 0.6), _grows(rng, level, 0.15, 0.005)

    def exact(x: Array) -> Array:
        s = width**2 + 2 * eps * x[1]
        return np.sqrt(width**2 / s) * np.exp(-((x[0] - 0.25 - c * x[1]) ** 2) / (2 * s))

    return _rod(f"pulse {width:.0e}", exact, ((0.25,), ()), ut=1.0, ux=c, uxx=-eps)


def wave_pulse(rng: Rng, level: int) -> Hard:
    """f(x - c t) of u_tt = c^2 u_xx, width down to 0.003."""
    width, c = _grows(rng, level, 0.2, 0.003), rng.uniform(0.3, 1.5)
    exact: Field = lambda x: np.exp(-((x[0] - 0.3 - c * x[1]) ** 2) / (2 * width**2))  # noqa: E731
    velocity: Field = lambda x: c * (x[0] - 0.3 - c * x[1]) / width**2 * exact(x)  # noqa: E731
    return _rod(f"wave {width:.0e}", exact, ((0.3,), ()), utt=1.0, uxx=-(c**2), velocity=velocity)


def growing_string(rng: Rng, level: int) -> Hard:
    """u_tt = c^2 u_xx + m^2 u: grows like exp(t sqrt(m^2 - (c pi)^2))."""
    c, m = 0.5, _grows(rng, level, 2, 20)
    rate = np.sqrt(m**2 - (c * np.pi) ** 2)
    exact: Field = lambda x: np.sin(np.pi * x[0]) * np.exp(rate * (x[1] - 1))  # noqa: E731
    velocity: Field = lambda x: rate * exact(x)  # noqa: E731
    return _rod(f"growth {rate:.0f}", exact, ((), (1.0,)), utt=1.0, uxx=-(c**2), u=-(m**2), velocity=velocity)


def sharp_advection(rng: Rng, level: int) -> Hard:
    """a u_x + b u_y = 0: a profile of tanh carried along."""
    width, b, p = _grows(rng, level, 0.2, 0.002), rng.uniform(0.2, 0.6), rng.uniform(0.1, 0.3)
    exact: Field = lambda x: np.tanh((x[1] - b * x[0] - p) / width)  # noqa: E731
    pde = LinearPDE(UNIT, ux=1.0, uy=b, conditions={"left": Dirichlet(exact), "bottom": Dirichlet(exact)})
    return Hard(f"advection {width:.0e}", pde, exact, ((), (p,)))


# -- ordinary -------------------------------------------------------------------------------------------------------


def smooth(rng: Rng, level: int) -> Hard:
    """Waves of moderate length, a hole or none, any elliptic operator."""
    k, a = rng.uniform(1, 10, 2), rng.uniform(0.2, 2, 4)

    def jet(x: Array) -> Jet:
        s, t = jets(x)
        sin = lambda v: (np.sin(v), np.cos(v), -np.sin(v))  # noqa: E731
        return s.scaled(k[0], a[0]).through(sin) + (s + t).scaled(k[1], a[1]).through(sin)

    domain = UNIT - Disk((0.5, 0.4), float(rng.uniform(0.1, 0.25)), name="hole") if level % 2 else UNIT
    return stated(f"smooth {k.max():.0f}", jet, ((), ()), domain, uxx=-a[0], uyy=-a[1], ux=a[2], u=a[3])


def smooth_in_time(rng: Rng, level: int) -> Hard:
    """Modes of a rod or of a string."""
    k, a = np.pi * int(rng.integers(1, 4)), rng.uniform(0.02, 0.3)
    if level % 2:
        exact: Field = lambda x: np.sin(k * x[0]) * np.exp(-a * k**2 * x[1])  # noqa: E731
        return _rod(f"rod {k:.0f}", exact, ((), ()), ut=1.0, uxx=-a)
    exact = lambda x: np.sin(k * x[0]) * np.cos(k * a * 8 * x[1])  # noqa: E731
    return _rod(f"string {k:.0f}", exact, ((), ()), utt=1.0, uxx=-((8 * a) ** 2), velocity=0.0)


KINDS: dict[str, Made] = {
    f.__name__: f
    for f in (
        outflow_layer,
        two_sided_layer,
        product_layer,
        corner_layers,
        peak,
        peak_on_waves,
        wave_front,
        interior_layer,
        rough_coefficient,
        jump_in_source,
        near_resonance,
        plane_waves,
        pole_outside,
        gap_of_disks,
        gap_with_flux,
        hole_at_the_rim,
        small_hole,
        corner,
        jumping_data,
        heat_jump,
        carried_pulse,
        wave_pulse,
        growing_string,
        sharp_advection,
        smooth,
        smooth_in_time,
    )
}
