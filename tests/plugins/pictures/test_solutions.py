"""Pictures of solutions: the domain as it is, what is compared, and what led to a solution."""

import subprocess
import sys

import numpy as np
import pytest
import skfem

pytest.importorskip("pyvista")

import meshmove.plugins  # noqa: E402
from meshmove.geometry import Disk, Rectangle  # noqa: E402
from meshmove.geometry.errors import FieldError, UnsupportedMeshError  # noqa: E402
from meshmove.plugins import plot_history, plot_solution  # noqa: E402
from meshmove.plugins.figures.panels import Panel, color_limits  # noqa: E402
from meshmove.plugins.pictures.solutions import sampled  # noqa: E402
from meshmove.solvers import Dirichlet, Interval, LinearPDE, Solution, TimeInterval, project  # noqa: E402
from meshmove.solvers.hypino.finetune import Step  # noqa: E402
from meshmove.solvers.hypino.refine import Round  # noqa: E402

PNG = b"\x89PNG"


def linear(x):
    return 1 + x[0] - 2 * x[1]


@pytest.fixture(scope="module")
def solution():
    domain = Rectangle((0, 0), (3, 1), name="all") - Disk((1, 0.5), 0.3, name="all")
    return project(LinearPDE(domain, uxx=-1, uyy=-1, conditions={"all": Dirichlet(linear)}))


def test_the_domain_is_shown_as_it_is(solution):
    grid = sampled(solution, 121)
    areas = grid.compute_cell_sizes(length=False, volume=False)["Area"]
    assert areas.sum() == pytest.approx(solution.pde.domain.area, rel=1e-3)
    assert solution.pde.domain.signed_distance(grid.points[:, :2].T).max() < 1e-3
    assert np.allclose(grid["solution"], linear(grid.points.T), atol=1e-5)
    assert np.abs(grid["residual"]).max() < 1e-2


def test_it_is_drawn_beside_its_error(solution, tmp_path):
    plot_solution(solution, exact=linear, filename=tmp_path / "a.png", resolution=41)
    plot_solution(solution, residual=False, filename=tmp_path / "b.png", resolution=41)
    assert all((tmp_path / name).read_bytes().startswith(PNG) for name in ("a.png", "b.png"))
    assert (tmp_path / "a.png").stat().st_size > (tmp_path / "b.png").stat().st_size > 5_000


def test_time_runs_upwards_and_finite_elements_can_be_compared_with(tmp_path):
    pde = LinearPDE(
        Interval(0, 1),
        time=TimeInterval(0, 40),
        ut=1,
        uxx=-0.01,
        initial=lambda x: np.sin(np.pi * x[0]),
        conditions={"left": Dirichlet(), "right": Dirichlet()},
    )
    basis = skfem.Basis(skfem.MeshTri.init_tensor(np.linspace(0, 1, 9), np.linspace(0, 40, 9)), skfem.ElementTriP2())
    solution = project(pde, effort=0.1)
    figure = plot_solution(solution, exact=(basis, solution.to_skfem(basis)), filename=tmp_path / "t.png")
    panels = [axes for axes in figure.axes if axes.get_title()]
    width, height = figure.get_size_inches()
    sides = [(axes.get_position().width * width, axes.get_position().height * height) for axes in panels]
    assert np.allclose(sides, 5.0) and len(panels) == 3  # a square each, though 40 is long


@pytest.mark.parametrize("exact", [lambda x: x, lambda x: np.full(x.shape[1], np.nan)])
def test_what_cannot_be_compared_with_is_refused(solution, exact):
    with pytest.raises(FieldError, match="Expected `exact`"):
        plot_solution(solution, exact=exact, filename="never.png", resolution=21)


def test_scales_are_whole_decades_and_round_numbers():
    x = np.geomspace(3e-4, 0.7, 500)
    assert color_limits(Panel("", x, "", log=True)) == pytest.approx((1e-4, 1))
    assert color_limits(Panel("", np.r_[x, np.nan], "")) == pytest.approx((0, 0.7))
    assert color_limits(Panel("", np.ones(5), "")) == (0.5, 1.5)
    assert color_limits(Panel("", np.zeros(5), "", log=True))[1] <= 1e-15
    assert color_limits(Panel("", np.full(5, np.nan), "", log=True)) == (0.1, 1)


def test_the_history_has_a_part_for_each_kind_of_step(solution, tmp_path):
    steps = (Round(1.0, True), Round(0.02, True), Round(0.02, False), Step(0, 0.1), Step(50, 0.08), *solution.history)
    whole = Solution(solution.pde, solution.field, history=steps)
    figure = plot_history(whole, filename=tmp_path / "history.png")
    assert [axes.get_title().split(",")[0] for axes in figure.axes] == ["refinement", "fine-tuning", "projection"]
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "linear", "log"]
    assert (tmp_path / "history.png").read_bytes().startswith(PNG)
    with pytest.raises(FieldError, match="with a history"):
        plot_history(Solution(solution.pde, solution.field))


def test_a_mesh_of_another_library_becomes_pyvistas(solution):
    mesh = skfem.MeshTri.init_tensor(np.linspace(2, 3, 4), np.linspace(0, 1, 5))
    grid = solution.to_pyvista(mesh)
    assert grid.n_cells == mesh.nelements
    assert np.allclose(grid["solution"], linear(grid.points.T), atol=1e-5)
    assert np.allclose(grid["gradient"], [1, -2, 0], atol=1e-3)
    with pytest.raises(UnsupportedMeshError, match="in the plane"):
        solution.to_pyvista(skfem.MeshTet())


def test_names_are_found_when_asked_for():
    assert {"plot", "plot_history", "plot_solution"} <= set(dir(meshmove.plugins))
    with pytest.raises(AttributeError, match="no attribute 'draw_nothing'"):
        meshmove.plugins.draw_nothing  # noqa: B018
    code = "import sys, meshmove.solvers, meshmove.plugins; print({'torch', 'pyvista', 'skfem'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"
