"""Curved cells of second order in pieces: the nodes between vertices follow, and no cell folds, whatever the pieces."""

from dataclasses import replace

import numpy as np
import pytest
import skfem

from meshmove import UnsupportedMeshError, adapt
from meshmove.distributed import DistributedMotion, adapt_distributed
from meshmove.distributed.cutting import bisected, pieces_of
from meshmove.geometry import Validity
from meshmove.plugins.skfem import converter
from tests.meshmove.distributed.threads import on_ranks, whole


def steep(x):
    return np.tanh(12 * (x[0] + 0.3 * x[1] - 0.2))


def gentle(x):
    return np.tanh(3 * (x[0] + 0.3 * x[1] - 0.2))


def gain(report):
    return report.predicted_error_before / report.predicted_error_after


def bent(mesh):
    """The square with all edges bent."""
    x, y = mesh.doflocs
    return replace(mesh, doflocs=np.stack([x + 0.04 * np.sin(5 * y), y + 0.06 * np.sin(6 * x)]))


MESHES = {
    "disc": skfem.MeshTri2.init_circle(4),
    "ball": skfem.MeshTet2.init_ball(2),
    "quadrilaterals": bent(skfem.MeshQuad2.from_mesh(skfem.MeshQuad().refined(4))),
}


def moved(cells, size, field=steep, **options):
    """What comes of it on all processes, positions of all vertices, and of all nodes."""
    centre = cells.points[cells.blocks[0].nodes].mean(axis=1)
    pieces = pieces_of(cells, bisected(centre + 0.1 * np.sin(5 * centre[:, ::-1]), size))
    outs = on_ranks(size, lambda r, p: adapt_distributed(p, r, field(p.points.T), **options), pieces)
    for out in outs:
        if isinstance(out, Exception):
            raise out
    nodes = np.full(cells.nodes.shape, np.nan)
    for out, piece in zip(outs, pieces, strict=True):
        known = nodes[piece.second.ids]
        assert np.array_equal(np.where(np.isnan(known), out.nodes, known), out.nodes)  # on all pieces to the last bit
        nodes[piece.second.ids] = out.nodes
    return outs, whole(outs, pieces), nodes


@pytest.mark.parametrize("name", MESHES)
def test_curved_cells_stay_valid_and_move_as_on_one_process(name):
    cells = converter.read(MESHES[name])
    field = gentle if name == "ball" else steep
    alone, one = adapt(MESHES[name], field(cells.points.T)), moved(cells, 1, field)
    for size in (3,) if name == "ball" else (2, 3):
        outs, points, nodes = moved(cells, size, field)
        assert not len(Validity(cells).lost(points, nodes))
        report = outs[0].report
        assert report.predicted_error_after < 0.7 * report.predicted_error_before
        assert report.predicted_error_after == pytest.approx(one[0][0].report.predicted_error_after, rel=0.02)
        if name != "quadrilaterals":  # which are judged otherwise in pieces
            assert gain(report) == pytest.approx(gain(alone.report), rel=0.05)


@pytest.mark.parametrize("name", ["disc", "ball"])
def test_nodes_stay_on_the_circle_and_on_the_sphere(name):
    mesh = MESHES[name]
    cells = converter.read(mesh)
    rim = np.abs(np.linalg.norm(cells.nodes, axis=1) - 1) < 1e-9
    _, _, nodes = moved(cells, 3)
    assert np.abs(nodes[rim] - cells.nodes[rim]).max() > 0.02
    assert np.abs(np.linalg.norm(nodes[rim], axis=1) - 1).max() < 2e-3


def test_edges_that_would_fold_cells_are_straightened_in_all_pieces():
    mesh = skfem.MeshTri2.from_mesh(skfem.MeshTri().refined(4))
    x = mesh.doflocs.copy()
    middle = np.arange(mesh.nvertices, x.shape[1])
    inner = middle[(x[:, middle] > 1e-9).all(axis=0) & (x[:, middle] < 1 - 1e-9).all(axis=0)]
    x[:, inner] += 0.003 * np.random.default_rng(1).choice([-1.0, 1.0], (2, len(inner)))
    cells = converter.read(replace(mesh, doflocs=x))
    outs, points, nodes = moved(cells, 3, field=lambda x: np.tanh(40 * (x[0] - 0.5 + 0.1 * x[1])))
    assert not len(Validity(cells).lost(points, nodes))
    assert any("straightened" in str(w) for w in outs[0].report.warnings)


def test_a_mesh_that_moves_through_time_is_refused():
    cells = converter.read(MESHES["disc"])
    pieces = pieces_of(cells, bisected(cells.points[cells.blocks[0].nodes].mean(axis=1), 2))
    outs = on_ranks(2, lambda r, p: DistributedMotion(p, r), pieces)
    assert all(isinstance(out, UnsupportedMeshError) and "curved cells" in str(out) for out in outs)
