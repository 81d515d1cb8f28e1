"""The hypernetwork: linear in amplitudes, turned with its problem, batched, stored; the published size builds."""

import numpy as np
import pytest
import torch
from torch import nn

from meshmove.geometry import Disk, Rectangle
from meshmove.neural import WeightsError
from meshmove.solvers.hypino import HyPINO, Settings
from meshmove.solvers.hypino.encoder import Block, FiLM
from meshmove.solvers.hypino.inputs import GUESSES, Turn, prepare
from meshmove.solvers.hypino.training import CONFIGS
from meshmove.solvers.hypino.training.objective import Objective
from meshmove.solvers.hypino.training.problems import build, draw
from meshmove.solvers.pde import Dirichlet, Interval, LinearPDE, ProblemError, TimeInterval

TINY = Settings(raster=32, patch=4, width=32, depths=(1, 1), window=4, fields=2, hidden=8, rank=2)


def model(settings=TINY, seed=0):
    """With weights that are not those of the start, where much is zero."""
    torch.manual_seed(seed)
    network = HyPINO(settings).eval()
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.05 * torch.randn_like(p))
    return network


@pytest.fixture(scope="module")
def network():
    return model()


@pytest.fixture(scope="module")
def problems():
    return build(draw(8, (3, 1), 40, 60, 0.0), TINY.raster)


def plate(value=1.0, source=0.0, **box):
    square = Rectangle((-1, -1), (1, 1), name="outer") - [Disk((0.3, 0.2), 0.3, name="hole")]
    conditions = {"outer": Dirichlet(value), "hole": Dirichlet(lambda x: value * x[0])}
    return LinearPDE(square, uxx=-1, uyy=-1, source=source, conditions=conditions)


@pytest.mark.parametrize("factor", [1e-12, -3.0, 1e9])
def test_solutions_are_proportional_to_the_data(network, problems, factor):
    c, raster = problems.coefficients.double().numpy(), problems.raster.double().numpy()
    more = raster.copy()
    more[:, 2:5] *= factor
    one, other = network.write(c, raster)(problems.X), network.write(c, more)(problems.X)
    if factor > 0:  # the network is not odd by construction
        torch.testing.assert_close(other, factor * one, rtol=1e-3, atol=1e-4 * factor * float(one.abs().max()))
    with_operator = raster.copy()
    with_operator[:, 4] *= factor
    torch.testing.assert_close(
        network.write(c * factor, with_operator)(problems.X), one, rtol=1e-3, atol=1e-4 * float(one.abs().max())
    )


def test_no_data_no_solution(network, problems):
    raster = problems.raster.numpy().copy()
    raster[:, 2:5] = 0
    assert float(network.write(problems.coefficients, raster)(problems.X).abs().max()) == 0


@pytest.mark.parametrize("position", range(8))
def test_a_turned_problem_has_the_turned_solution(network, problems, position):
    generator = torch.Generator().manual_seed(1)
    c = torch.randn(8, 5, generator=generator)
    bits = [torch.full((8,), bool(position >> k & 1)) for k in range(3)]
    turn = Turn(*bits)
    X = problems.X.flip(0) if bits[0][0] else problems.X
    X = X * torch.tensor([[1 - 2.0 * bits[1][0]], [1 - 2.0 * bits[2][0]]])
    with torch.no_grad():
        plain = network(c, problems.raster)(problems.X)
        turned = network(turn.coefficients(c), turn.raster(problems.raster))(X)
    assert float(((plain - turned).abs().amax(1) / plain.abs().amax(1)).max()) < 1e-3


def test_a_problem_does_not_depend_on_its_batch(network, problems):
    with torch.no_grad():
        together = network(problems.coefficients, problems.raster)(problems.X)
        alone = network(problems.coefficients[2:3], problems.raster[2:3])(problems.X)
    torch.testing.assert_close(together[2:3], alone, rtol=1e-4, atol=1e-4 * float(alone.abs().max()))


def test_weights_come_back_bit_for_bit(network, problems, tmp_path):
    again = HyPINO.from_pretrained(network.save_pretrained(tmp_path / "m.safetensors"))
    assert again.settings == TINY and not again.training
    with torch.no_grad():
        one, other = (m(problems.coefficients, problems.raster).lattice for m in (network, again))
    assert torch.equal(one, other)
    with pytest.raises(WeightsError, match="shipped model"):
        HyPINO.from_pretrained("hypino-huge")


def test_stated_problems_are_solved_one_by_one_or_together(network):
    pdes = [plate(), plate(2.0), plate(0.0, source=1.0)]
    X = np.array([[0.0, -0.5], [-0.5, 0.7]])
    one, all_three = network.emit(pdes[0]), network.emit(pdes)
    assert one.single and len(all_three) == 3 and one.lattice.dtype == torch.float64
    torch.testing.assert_close(all_three(X)[0], one(X), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(all_three(X)[1], 2 * one(X), rtol=1e-3, atol=1e-4)


def test_boxes_and_times_are_scaled_to_the_square(network):
    heat = LinearPDE(
        Interval(0, 3), time=TimeInterval(0, 5), ut=1, uxx=-0.3, initial=lambda x: x[0],
        conditions={"left": Dirichlet(0), "right": Dirichlet(3.0)},
    )  # fmt: skip
    assert network.emit(heat).jets(np.zeros((2, 4))).shape == (5, 4)


def test_a_raster_of_another_size_is_refused(network):
    with pytest.raises(ProblemError, match=r"rasters \(B, 6, 32, 32\).*got.*64"):
        network.write(np.ones((1, 5)), np.zeros((1, 6, 64, 64)))


def test_guesses_solve_what_they_can():
    """Poisson's equation in one direction: straight lines between the sides are exact up to pixels."""
    n = 64
    s = np.linspace(-1 + 1 / n, 1 - 1 / n, n)
    u = np.sin(3 * s)[None] * np.cos(s)[:, None] + s
    raster = np.zeros((1, 6, n, n))
    raster[0, 0, :, [0, -1]], raster[0, 5], raster[0, 4] = 1, 1, -9 * np.sin(3 * s)[None] * np.cos(s)[:, None]
    raster[0, 2, :, [0, -1]] = u[:, [0, -1]].T
    inputs = prepare(torch.tensor([[0.0, 0, 0, 1, 0]]), torch.tensor(raster, dtype=torch.float32), 24)
    size, truth = float(np.sqrt((u**2).mean())), torch.tensor(u)
    rough = inputs.rough[0] * inputs.scale
    assert float((rough - truth).square().mean().sqrt()) < 0.15 * size
    assert len(inputs.others[0]) == GUESSES
    others = inputs.others[0] / (1 - inputs.others[0].abs() / 5)  # as they were before they were compressed
    guesses = rough + others * inputs.left * inputs.scale
    assert float((guesses - truth).square().mean((1, 2)).sqrt().min()) < 0.06 * size


def test_windows_keep_to_themselves_and_shifted_ones_do_not_wrap_around():
    torch.manual_seed(0)
    for shifted, near, far in ((False, (1, 1), (5, 5)), (True, (0, 0), (7, 7))):
        block = Block(16, 2, 4, shifted).eval()
        x = torch.randn(1, 8, 8, 16)
        moved = x.clone()
        moved[0, far[0], far[1]] += torch.randn(16)
        with torch.no_grad():
            change = (block(moved) - block(x)).abs().amax(3)[0]
        assert float(change[near]) == 0 and float(change[far]) > 0
    with torch.no_grad():
        moved = x.clone()
        moved[0, 1, 1] += torch.randn(16)
        assert float((block(moved) - block(x)).abs().amax(3)[0][2, 2]) == 0  # another shifted window
        assert float((block(moved) - block(x)).abs().amax(3)[0][0, 0]) > 0


def test_film_starts_as_the_identity():
    x = torch.randn(2, 3, 3, 8)
    assert torch.equal(FiLM(5, 8)(x, torch.randn(2, 5)), x)


def test_the_published_size_takes_a_training_step():
    config = CONFIGS["full"]
    torch.manual_seed(0)
    network = HyPINO(config.settings)
    assert (config.settings.depths, config.settings.width, config.settings.window) == ((2, 2, 10, 2), 128, 7)
    assert sum(p.numel() for p in network.parameters()) > 5e7
    problem = build(draw(1, (0, 0), 32, 32, 0.0), config.settings.raster)
    objective = Objective(network, config.weights)
    optimizer = torch.optim.SGD(network.parameters(), 1e-4)
    loss, _ = objective(problem)
    loss.backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    before = network.fields.values.weight.detach().clone()
    optimizer.step()
    assert not torch.equal(before, network.fields.values.weight)


def test_small_is_small(tmp_path):
    path = HyPINO(CONFIGS["small"].settings).save_pretrained(tmp_path / "small.safetensors")
    assert path.stat().st_size < 25e6
    assert CONFIGS["small"].settings == Settings()
