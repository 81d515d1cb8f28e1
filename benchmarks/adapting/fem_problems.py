"""Ten more manufactured Poisson problems, none of which a monitor's default was tuned on."""

from __future__ import annotations

from meshmove.solvers.fem.manufactured import (
    Problem,
    arctan,
    decay,
    distance,
    distance2,
    gaussian,
    line,
    summed,
    tanh,
    wavy,
)

__all__ = ["MORE"]

#: manufactured problems by name, besides those of `meshmove.solvers.fem.manufactured.PROBLEMS`
MORE: dict[str, Problem] = {
    p.name: p
    for p in (
        summed("small_ring", (tanh(80), distance2(0.35, 0.6, 0.03))),
        summed("quarter_front", (tanh(25), distance(-0.1, 1.1, 0.9))),
        summed("three_peaks", *((decay(k, h), distance2(*at)) for k, h, at in (
            (300, 1.0, (0.2, 0.75)), (120, 0.6, (0.6, 0.3)), (500, -1.2, (0.8, 0.8)),
        ))),
        summed("steep_oblique", (arctan(80), line(-35, 0.4, 0.6))),
        summed("wavy_ridge", (gaussian(0.08), wavy)),
        summed("ridge_and_peak", (gaussian(0.06), line(60, 0.6, 0.4)), (decay(200), distance2(0.2, 0.7))),
        summed("two_rings", (gaussian(0.04), distance2(0.3, 0.3, 0.04)), (gaussian(0.04), distance2(0.7, 0.7, 0.03))),
        summed("step_stairs", (tanh(35), line(45, 0.3, 0.3)), (tanh(35), line(45, 0.7, 0.7))),
        summed("corner_peak", (decay(60), distance2(0.0, 1.0))),
        summed("broad_bump", (decay(12, 2.0), distance2(0.55, 0.45))),
    )
}  # fmt: skip
