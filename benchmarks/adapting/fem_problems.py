"""Ten more manufactured Poisson problems, none of which a monitor's default was tuned on."""

from __future__ import annotations

from meshmove.solvers.poisson import (
    Problem,
    _arctan,
    _decay,
    _distance,
    _distance2,
    _gaussian,
    _line,
    _sum,
    _tanh,
    _wavy,
)

__all__ = ["MORE"]

#: manufactured problems by name, besides those of `meshmove.solvers.poisson.PROBLEMS`
MORE: dict[str, Problem] = {
    p.name: p
    for p in (
        _sum("small_ring", (_tanh(80), _distance2(0.35, 0.6, 0.03))),
        _sum("quarter_front", (_tanh(25), _distance(-0.1, 1.1, 0.9))),
        _sum("three_peaks", *((_decay(k, h), _distance2(*at)) for k, h, at in (
            (300, 1.0, (0.2, 0.75)), (120, 0.6, (0.6, 0.3)), (500, -1.2, (0.8, 0.8)),
        ))),
        _sum("steep_oblique", (_arctan(80), _line(-35, 0.4, 0.6))),
        _sum("wavy_ridge", (_gaussian(0.08), _wavy)),
        _sum("ridge_and_peak", (_gaussian(0.06), _line(60, 0.6, 0.4)), (_decay(200), _distance2(0.2, 0.7))),
        _sum("two_rings", (_gaussian(0.04), _distance2(0.3, 0.3, 0.04)), (_gaussian(0.04), _distance2(0.7, 0.7, 0.03))),
        _sum("step_stairs", (_tanh(35), _line(45, 0.3, 0.3)), (_tanh(35), _line(45, 0.7, 0.7))),
        _sum("corner_peak", (_decay(60), _distance2(0.0, 1.0))),
        _sum("broad_bump", (_decay(12, 2.0), _distance2(0.55, 0.45))),
    )
}  # fmt: skip
