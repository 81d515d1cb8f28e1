"""The network of two branches: batches as single graphs, invariances, and parts that can be left out."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from meshmove.solvers.mmpde.network import Settings, TwoBranches
from meshmove.solvers.mmpde.state import State
from tests.shapes import box
from tests.solvers.mmpde.cases import burgers, dataset, jittered, joined_of, model_of, randomised, state_on

ALONG_EDGES = {"messages": "edges", "reach": 3.0}
PLACED = {"learned": True, "placed": True}
PARTS = [{}, {"moving": False}, {"learned": True}, ALONG_EDGES, {"messages": "edges"}, PLACED, {"cut": 4}]


def values_of(values):
    return torch.tensor(np.concatenate(values)).float()


def outputs(model, state):
    with torch.no_grad():
        return model(state)


@pytest.mark.parametrize("parts", PARTS, ids=str)
def test_a_batch_of_graphs_of_different_size_gives_what_each_alone_gives(parts):
    model = model_of(**parts)
    meshes = [jittered(n=n, seed=n) for n in (4, 7, 5)]
    graphs, values, attributes, moved, state = state_on(model, meshes)
    together = outputs(model, state)
    assert together.shape == (sum(g.n_points for g in graphs), 2, 1) and torch.isfinite(together).all()
    first = 0
    for k, g in enumerate(graphs):
        places = None if moved is None else [moved[k]]
        alone = joined_of(model, [meshes[k]], [g], [values[k]], [attributes[k]], places)
        assert torch.allclose(outputs(model, alone), together[first : first + g.n_points], atol=2e-5)
        first += g.n_points


@pytest.mark.parametrize("parts", PARTS, ids=str)
def test_every_weight_has_a_gradient(parts):
    model = model_of(**parts)
    *_, state = state_on(model, [jittered()])
    loss = model(state).square().sum()
    if model.settings.learned:  # on the way from one moved mesh to the next
        loss = loss + model.taken_over(state.moved, state.moved.values).square().sum()
    loss.backward()
    lost = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    constant = [name for name in lost if not name.endswith("net.4.bias")]  # of weights that are normalised
    assert not constant


@pytest.mark.parametrize("parts", PARTS[:4], ids=str)
def test_without_gradients_the_same_comes_out_to_the_bit_and_nothing_that_goes_in_changes(parts):
    model = model_of(**parts)
    *_, state = state_on(model, [jittered()])
    start = state.values.clone()
    out = outputs(model, state)
    assert torch.equal(out, model(state).detach()) and torch.equal(out, outputs(model, state))
    assert torch.equal(state.values, start)


def test_a_part_that_is_left_out_has_no_weights():
    names = [{name.partition(".")[0] for name, _ in model_of(**p).named_parameters()} for p in (*PARTS[:3], PARTS[-1])]
    carried = {"there", "back", "over"}
    assert names == [{"still", "moving"}, {"still"}, {"still", "moving"} | carried, {"still", "moving", "cut"}]


@pytest.mark.parametrize("residual", [True, False])
def test_a_branch_adds_its_changes_to_the_fields_or_gives_the_fields_themselves(residual):
    model = model_of(moving=False, residual=residual)
    *_, state = state_on(model, [jittered()])
    out = outputs(model, state)
    with torch.no_grad():
        for p in model.still.decode[-1].parameters():
            p.zero_()
    silent = outputs(model, state)
    expected = state.values if residual else torch.zeros_like(state.values)
    assert torch.equal(silent, expected[:, None].expand_as(silent)) and not torch.allclose(out, silent, atol=1e-3)


def test_a_residual_cut_adds_at_the_nodes_what_it_makes_of_the_start():
    model, plain = model_of(cut=4), model_of()
    *_, state = state_on(model, [jittered()])
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith("cut")})
    with torch.no_grad():
        added = outputs(model, state) - outputs(plain, state)
        own = model.cut(state.values, state.graph, model.unit)[:, None]
    assert torch.allclose(added, own.expand_as(added), atol=1e-6) and float(own.abs().max()) > 0.01


@pytest.mark.parametrize("moving", [True, False])
def test_nothing_depends_on_where_the_domain_lies(moving):
    model = model_of(moving=moving)
    _, values, attributes, moved, state = state_on(model, [jittered()])
    there = replace(jittered(), points=jittered().points + [3.0, -2.0])
    graphs = state_on(model, [there])[0]
    positions = [m + [3.0, -2.0] for m in moved] if moving else None
    elsewhere = joined_of(model, [there], graphs, values, attributes, positions)
    if moving:
        assert torch.allclose(elsewhere.moved.there(values_of(values)), state.moved.there(values_of(values)), atol=1e-5)
    assert torch.allclose(outputs(model, elsewhere), outputs(model, state), atol=1e-3)


def test_nothing_depends_on_the_numbers_of_nodes():
    model, mesh = model_of(), jittered(n=6)
    _, values, attributes, moved, state = state_on(model, [mesh])
    order = np.random.default_rng(0).permutation(mesh.n_points)
    number = np.argsort(order)
    block = mesh.blocks[0]
    other = replace(mesh, points=mesh.points[order], blocks=(replace(block, nodes=number[block.nodes]),))
    graphs = state_on(model, [other])[0]
    renumbered = joined_of(model, [other], graphs, [values[0][order]], attributes, [moved[0][order]])
    known = state.moved.values[order]  # for those of the case depend on numbers
    renumbered = replace(renumbered, moved=replace(renumbered.moved, values=known))
    assert torch.allclose(outputs(model, renumbered), outputs(model, state)[order], atol=1e-4)


@pytest.mark.parametrize("learned", [False, True])
def test_linear_fields_are_carried_there_and_back_and_over(learned):
    model = model_of(learned=learned)
    *_, state = state_on(model, [jittered(n=8), jittered(n=5)])
    m, linear = state.moved, state.graph.points.sum(1, keepdim=True)
    inside = (m.points > 0).all(1) & (m.points < 1).all(1)  # those outside take the value at the closest point
    inside |= torch.tensor(learned)
    with torch.no_grad():
        away = model.taken_there(state, linear)
        assert torch.allclose(away[inside, 0], m.points[inside].sum(1), atol=2e-4)
        moved = replace(state, moved=replace(m, values=m.points.sum(1, keepdim=True)))
        again = model.returned(moved, moved.moved.values[:, None])[:, 0]
        over = model.taken_over(m, m.before.sum(1, keepdim=True))
    assert torch.allclose(over[inside, 0], m.points[inside].sum(1), atol=2e-4)
    kept = state.graph.kinds[:, 0] == 1
    assert torch.allclose(again[kept], linear[kept], atol=4e-4)
    owner = state.graph.owner
    for near in (m.there, m.back, m.over):
        assert torch.equal(owner[near.ids], owner[:, None].expand_as(near.ids))  # never from another mesh


def test_fields_live_at_the_moved_nodes():
    """What evolves there depends on values there, which nodes of the mesh do not know."""
    model = model_of()
    *_, state = state_on(model, [jittered(n=6)])
    with torch.no_grad():
        predicted = model.predicted(state)
        first = model.evolved(state, predicted)
        kick = torch.randn(state.values.shape, generator=torch.Generator().manual_seed(0))
        other = replace(state, moved=replace(state.moved, values=state.moved.values + kick))
        assert torch.equal(model.predicted(other), predicted)
        assert not torch.allclose(model.evolved(other, predicted), first, atol=0.1)
        still = model_of()
        for p in still.moving.decode.parameters():
            p.zero_()
        # a correction of nothing: the change that was predicted is added to what was there
        ahead = state.moved.there(predicted) - state.moved.there(state.values)[:, None]
        assert torch.allclose(still.evolved(state, predicted), state.moved.values[:, None] + ahead, atol=1e-5)


def test_normalisation_is_undone():
    model = model_of(dataset(burgers(), burgers(2, cells=6)))
    u = torch.randn(5, 1)
    assert torch.allclose(model.physical(model.normalised(u)), u, atol=1e-6)
    assert float(model.step) == pytest.approx(0.1) and model.change.shape == (2, 1)
    assert float(model.change[1, 0]) > float(model.change[0, 0]) > 0
    assert float(model.attribute_mean) == pytest.approx(0.03) and float(model.attribute_std) == pytest.approx(0.02)


def test_three_fields_on_tetrahedra():
    settings = Settings(("a", "b", "c"), dim=3, bundle=3, width=8, layers=2, moving=True, corrections=2)
    model = randomised(TwoBranches(settings), 0.1)
    mesh = box("tetra", 3, 0.2)
    *_, state = state_on(model, [mesh])
    assert outputs(model, state).shape == (mesh.n_points, 3, 3)
    copy = state.to("cpu")
    assert isinstance(copy, State) and torch.equal(copy.moved.back.ids, state.moved.back.ids)


def test_half_precision_leaves_interpolation_exact():
    model = model_of(learned=True)
    *_, state = state_on(model, [jittered(n=8)])
    expected = outputs(model, state)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.allclose(outputs(model, state).float(), expected, atol=0.1 * float(expected.abs().max()))
        with torch.no_grad():
            there = model.taken_there(state, state.graph.points.sum(1, keepdim=True))
    assert torch.allclose(there[:, 0].float(), state.moved.points.sum(1), atol=2e-4)
