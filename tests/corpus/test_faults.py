"""Meshes on which something once went wrong are moved without harm, or refused by what is the matter."""

import numpy as np
import pytest

import meshmove
from meshmove.geometry import Validity, cell_volumes
from meshmove.geometry.errors import MeshmoveError
from meshmove.meshes.source import Source
from tests.corpus.faults import FAULTS

MOVED = {f.name: f for f in FAULTS if f.refused is None}
REFUSED = {f.name: f for f in FAULTS if f.refused is not None}


def monitor_of(points):
    """Cells four times smaller on one side, by the mesh's own size."""
    low, high = np.nanmin(points, axis=0), np.nanmax(points, axis=0)
    axis = int(np.argmax(high - low))
    return lambda x: 1 + 3 * np.clip((x[axis] - low[axis]) / (high - low)[axis], 0, 1) ** 2


def volume(cells, points):
    return np.abs(cell_volumes(cells.moved(points))).sum()


@pytest.mark.parametrize("fault", MOVED.values(), ids=MOVED)
def test_moved_without_harm(fault):
    mesh = fault.make()
    before = Source.of(mesh).cells
    fixed = {"fixed": list(fault.held)} if fault.held else {}
    nodes = np.asarray(mesh.points if hasattr(mesh, "points") else mesh.p.T, float)
    out = meshmove.adapt(mesh, monitor=monitor_of(nodes), effort=0.3, **fixed)
    after = Source.of(out.mesh).cells
    assert not len(Validity(before).lost(after.points, after.nodes))
    assert [b.nodes.tolist() for b in before.blocks] == [b.nodes.tolist() for b in after.blocks]
    assert volume(before, after.points) == pytest.approx(volume(before, before.points), rel=5e-3)
    assert out.displacement.shape[0] == len(nodes) and np.isfinite(out.displacement).all()
    assert not np.any(out.displacement[list(fault.held)])
    if before.periodic is not None:
        a, b = before.periodic.T
        np.testing.assert_allclose(after.points[a] - after.points[b], before.points[a] - before.points[b], atol=1e-12)
    assert out.report.max_displacement > 0 or fault.name in STILL


#: too few free nodes for anything to move, or all on an interface
STILL = {"sets without cells in a block", "one type in two blocks"}


@pytest.mark.parametrize("fault", REFUSED.values(), ids=REFUSED)
def test_refused_by_what_is_the_matter(fault):
    with pytest.raises(MeshmoveError, match=fault.refused):
        meshmove.adapt(fault.make(), monitor=lambda x: 1 + x[0])
