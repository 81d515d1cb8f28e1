"""The network of two branches: batches as single graphs, invariances, and parts that can be left out."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import box
from mmpde_cases import burgers, dataset, jittered, model_of, randomised, state_on

from meshmove.solvers.mmpde.model import Settings, State, TwoBranches
from meshmove.solvers.mmpde.samples import state_of

ALONG_EDGES = {"messages": "edges", "reach": 3.0}
PARTS = [{}, {"moving": False}, {"learned": False}, {"cut": False}, ALONG_EDGES, {"messages": "edges"}]


def outputs(model, state):
    with torch.no_grad():
        return model(state)


@pytest.mark.parametrize("parts", PARTS, ids=str)
def test_a_batch_of_graphs_of_different_size_gives_what_each_alone_gives(parts):
    model = model_of(**parts)
    graphs, values, attributes, moved, state = state_on(model, [jittered(n=n, seed=n) for n in (4, 7, 5)])
    together = outputs(model, state)
    assert together.shape == (sum(g.n_points for g in graphs), 2, 1) and torch.isfinite(together).all()
    first = 0
    for k, g in enumerate(graphs):
        alone = state_of(model, [g], [values[k]], [attributes[k]], None if moved is None else [moved[k]])
        assert torch.allclose(outputs(model, alone), together[first : first + g.n_points], atol=2e-5)
        first += g.n_points


@pytest.mark.parametrize("parts", PARTS, ids=str)
def test_every_weight_has_a_gradient(parts):
    model = model_of(**parts)
    *_, state = state_on(model, [jittered()])
    model(state).square().sum().backward()
    lost = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    constant = [name for name in lost if not name.endswith("net.4.bias")]  # of weights that are normalised
    assert not constant


def test_a_part_that_is_left_out_has_no_weights():
    names = {name.partition(".")[0] for name, _ in model_of(moving=False).named_parameters()}
    assert names == {"still"}
    assert not hasattr(model_of(cut=False), "cut") and model_of(learned=False).there.net is None
    count = [sum(p.numel() for p in model_of(**p).parameters()) for p in PARTS]
    assert count[0] > max(count[1:4]) and count[4] == count[5]


@pytest.mark.parametrize("moving", [True, False])
def test_nothing_depends_on_where_the_domain_lies(moving):
    model = model_of(moving=moving)
    _, values, attributes, moved, state = state_on(model, [jittered()])
    there = replace(jittered(), points=jittered().points + [3.0, -2.0])
    graphs = state_on(model, [there])[0]
    positions = [m + [3.0, -2.0] for m in moved] if moving else None
    elsewhere = state_of(model, graphs, values, attributes, positions)
    if moving:
        assert torch.equal(elsewhere.there, state.there)
    assert torch.allclose(outputs(model, elsewhere), outputs(model, state), atol=1e-3)


def test_nothing_depends_on_the_numbers_of_nodes():
    model, mesh = model_of(), jittered(n=6)
    _, values, attributes, moved, state = state_on(model, [mesh])
    order = np.random.default_rng(0).permutation(mesh.n_points)
    number = np.argsort(order)
    block = mesh.blocks[0]
    other = replace(mesh, points=mesh.points[order], blocks=(replace(block, nodes=number[block.nodes]),))
    graphs = state_on(model, [other])[0]
    renumbered = state_of(model, graphs, [values[0][order]], attributes, [moved[0][order]])
    assert torch.allclose(outputs(model, renumbered), outputs(model, state)[order], atol=1e-4)


def test_the_state_is_interpolated_there_and_back():
    model = model_of()
    *_, state = state_on(model, [jittered(n=8), jittered(n=5)])
    with torch.no_grad():
        there, back, moved, returned = model.interpolate(state)
        linear = replace(state, values=state.graph.points.sum(1, keepdim=True))
        away, again = model.interpolate(linear)[2:]
    assert there.shape == back.shape == state.there.shape
    assert torch.allclose(away[:, 0], state.moved.sum(1), atol=1e-4)
    assert torch.allclose(again, linear.values, atol=3e-4)
    owner = state.graph.owner
    assert torch.equal(owner[state.there], owner[:, None].expand_as(state.there))  # never from another mesh


def test_normalisation_is_undone():
    model = model_of(dataset(burgers(), burgers(2, cells=6)))
    u = torch.randn(5, 1)
    assert torch.allclose(model.physical(model.normalised(u)), u, atol=1e-6)
    assert float(model.step) == pytest.approx(0.1) and model.change.shape == (2, 1)
    assert float(model.change[1, 0]) > float(model.change[0, 0]) > 0
    assert float(model.attribute_mean) == pytest.approx(0.03) and float(model.attribute_std) == pytest.approx(0.02)


def test_three_fields_on_tetrahedra():
    settings = Settings(("a", "b", "c"), dim=3, bundle=3, width=8, layers=2, moving=True, neighbours=8, interpolation=4)
    model = randomised(TwoBranches(settings), 0.1)
    mesh = box("tetra", 3, 0.2)
    *_, state = state_on(model, [mesh])
    assert outputs(model, state).shape == (mesh.n_points, 3, 3)
    copy = state.to("cpu")
    assert isinstance(copy, State) and torch.equal(copy.back, state.back)


def test_half_precision_leaves_interpolation_exact():
    model = model_of()
    *_, state = state_on(model, [jittered(n=8)])
    expected = outputs(model, state)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.allclose(outputs(model, state).float(), expected, atol=0.1 * float(expected.abs().max()))
        linear = replace(state, values=state.graph.points.sum(1, keepdim=True))
        with torch.no_grad():
            moved = model.interpolate(linear)[2]
    assert torch.allclose(moved[:, 0].float(), state.moved.sum(1), atol=1e-4)
