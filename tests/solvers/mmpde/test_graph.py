"""The graph of the time stepper: edges both ways, far edges that stay in the domain, kinds of nodes, joined meshes."""

import numpy as np
import pytest
import torch

from meshmove.solvers.generators.burgers import burgers_trajectories
from meshmove.solvers.mmpde.graph import Graph
from meshmove.solvers.mmpde.operators import Operators
from tests.shapes import ALL_KINDS, box, mesh_dim, size
from tests.solvers.mmpde.cases import jittered


def square(n=6):
    return burgers_trajectories(1, cells=n, stride=1, frames=2).mesh


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_every_edge_is_there_both_ways_and_sorted_by_its_end(kind):
    mesh = box(kind, size(kind), 0.2)
    graph = Graph.of(mesh)
    start, end = graph.edges.numpy()
    assert (np.diff(end) >= 0).all() and graph.edges.shape[1] == 2 * len(mesh.edges)
    pairs = set(zip(start.tolist(), end.tolist(), strict=True))
    assert pairs == {(b, a) for a, b in pairs} and len(pairs) == len(start)
    assert graph.n_points == mesh.n_points and graph.n_meshes == 1
    assert float(graph.weight.sum()) == pytest.approx(1, rel=1e-5) and float(graph.weight.min()) > 0
    inside = ((mesh.points > 1e-9) & (mesh.points < 1 - 1e-9)).all(axis=1)
    assert np.array_equal(graph.kinds[:, 0].numpy() > 0, inside)


@pytest.mark.parametrize("kind", ["triangle", "tetra"])
def test_far_edges_have_the_reach_asked_for_and_never_lead_to_the_node_itself(kind):
    mesh = jittered(kind, 10 if kind == "triangle" else 6)
    graph = Graph.of(mesh, reach=3.0, directions=6)
    start, end = graph.far
    assert len(start) and bool((start != end).all())
    assert int(torch.bincount(end).max()) <= 6
    edge = (graph.points[graph.edges[0]] - graph.points[graph.edges[1]]).norm(dim=1).mean()
    lengths = (graph.points[start] - graph.points[end]).norm(dim=1) / edge
    assert 2 < float(lengths.mean()) < 4 and float(lengths.max()) < 7
    assert len({*zip(start.tolist(), end.tolist(), strict=True)}) == len(start)  # none twice
    assert Graph.of(mesh, reach=0).far.shape == Graph.of(mesh, directions=0).far.shape == (2, 0)


def test_nodes_know_the_boundaries_that_they_lie_on():
    mesh = square()
    kinds = Graph.of(mesh, ("left", "top", "nowhere")).kinds.numpy()
    x, y = mesh.points.T
    assert kinds.shape == (mesh.n_points, 5)
    assert np.array_equal(kinds[:, 0] + kinds[:, 1], np.ones(mesh.n_points))
    assert np.array_equal(kinds[:, 2], x == 0) and np.array_equal(kinds[:, 3], y == 1) and not kinds[:, 4].any()


def test_a_graph_that_is_there_already_is_not_copied():
    graph = Graph.of(square())
    means = graph.means
    assert graph.to("cpu") is graph and graph.to("cpu").means is means


def test_joined_graphs_stand_side_by_side():
    graphs = [Graph.of(jittered(n=n), reach=2.0) for n in (3, 5, 4)]
    joined = Graph.join(graphs)
    assert joined.n_meshes == 3 and joined.n_points == sum(g.n_points for g in graphs)
    for name in ("edges", "far"):
        assert torch.equal(joined.owner[getattr(joined, name)[0]], joined.owner[getattr(joined, name)[1]])
    first = [0, *np.cumsum([g.n_points for g in graphs])]
    for k, g in enumerate(graphs):
        own = joined.owner == k
        assert torch.equal(joined.points[own], g.points) and torch.equal(joined.weight[own], g.weight)
        assert torch.equal(joined.edges[:, joined.owner[joined.edges[1]] == k] - first[k], g.edges)


def test_the_norm_is_the_l2_norm_of_each_mesh():
    graphs = [Graph.of(jittered(n=n)) for n in (4, 24)]
    joined = Graph.join(graphs)
    assert torch.allclose(joined.norm(torch.full((joined.n_points, 2, 3), -2.0)), torch.full((2,), 2.0))
    x = joined.points[:, 0]
    assert joined.norm(x)[1] == pytest.approx((1 / 3) ** 0.5, rel=5e-3)
    assert torch.allclose(joined.norm(x)[:1], graphs[0].norm(graphs[0].points[:, 0]))


def test_a_moved_graph_keeps_everything_but_positions():
    graph = Graph.of(jittered())
    there = Operators.of(graph.operators.mesh, graph.points.numpy() * 2 + 1)
    moved = graph.moved(graph.points * 2 + 1, there)
    assert torch.equal(moved.points, graph.points * 2 + 1) and moved.operators is there
    assert moved.edges is graph.edges and moved.kinds is graph.kinds
    there = graph.to("cpu")
    assert there.operators is graph.operators
    tensors = {name: value for name, value in vars(graph).items() if name != "operators"}
    assert all(torch.equal(getattr(there, name), value) for name, value in tensors.items())


@pytest.mark.parametrize("dim", [2, 3])
def test_far_edges_point_all_around(dim):
    mesh = jittered("triangle" if dim == 2 else "tetra", 12 if dim == 2 else 8, 0.0)
    graph = Graph.of(mesh, reach=2.0, directions=8)
    middle = int((graph.points - 0.5).norm(dim=1).argmin())
    r = graph.points[graph.far[0][graph.far[1] == middle]] - graph.points[middle]
    assert mesh_dim("triangle" if dim == 2 else "tetra") == r.shape[1] and len(r) >= 6
    assert float((r / r.norm(dim=1, keepdim=True)).mean(0).norm()) < 0.35
