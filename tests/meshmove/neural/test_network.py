"""The advisor: neutral at first, and aware of rounds and of neighbours, but not of numbering."""

import pytest
import torch

from meshmove.neural.network import Advisor
from tests.meshmove.neural.cases import batch_of, cube


def advisor(bias, seed=0, head=None):
    torch.manual_seed(seed)
    net = Advisor(5, bias, rounds=3, width=8, layers=2)
    if head:
        torch.nn.init.normal_(net.head[-1].weight, std=head)
        torch.nn.init.normal_(net.rounds.weight, std=head)
    return net


def test_it_starts_as_a_constant():
    batch = batch_of(cube("triangle"))
    advice = advisor([1.0, -2.0])(torch.randn(len(batch.points), 5), batch.edges, 1)
    assert torch.equal(advice, torch.tensor([1.0, -2.0]).expand(len(advice), 2))


def test_rounds_are_told_apart():
    batch, features = batch_of(cube("triangle")), torch.randn(16, 5)
    net = advisor([0.0], head=1.0)
    assert not torch.allclose(net(features, batch.edges, 0), net(features, batch.edges, 2))


def test_messages_come_from_neighbours_and_travel_one_edge_a_layer():
    batch = batch_of(cube("triangle", 6))
    net, features = advisor([0.0], head=1.0), torch.randn(len(batch.points), 5)
    changed = features.clone()
    changed[0] += 1
    near = torch.zeros(len(features), dtype=torch.bool)
    near[0] = True
    for _ in range(2):
        near[batch.edges[1][near[batch.edges[0]]]] = True
    differs = (net(features, batch.edges, 0) != net(changed, batch.edges, 0)).any(1)
    assert not differs[~near].any() and differs[near].float().mean() > 0.9


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_answer_has_the_precision_of_the_question(dtype):
    batch, features = batch_of(cube("triangle")), torch.randn(16, 5).double()
    exact = advisor([0.5], head=0.3).double()(features, batch.edges, 0)
    advice = advisor([0.5], head=0.3).to(dtype)(features, batch.edges, 0)
    assert advice.dtype == torch.float64
    assert (advice - exact).abs().max() < 30 * torch.finfo(dtype).eps
