"""The classical mover on monitors too steep to be met at once."""

import numpy as np
import skfem

import meshmove
from tests.shapes import assert_valid


def test_powers_lead_up_to_a_very_steep_monitor():
    mesh = skfem.MeshTri.init_tensor(*[np.linspace(0, 1, 25)] * 2)

    def spikes(x):
        a, b = (((x.T - c) ** 2).sum(axis=1) for c in ((0.3, 0.35), (0.7, 0.6)))
        return 1e-3 + np.exp(-600 * a) + 0.3 * np.exp(-900 * b)

    out = meshmove.adapt(mesh, monitor=spikes)
    assert_valid(out)
    assert out.report.imbalance_before > 3
    assert out.report.imbalance_after < 0.5 * out.report.imbalance_before
