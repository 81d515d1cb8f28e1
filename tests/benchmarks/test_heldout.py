"""The held-out suite: fixed, sound, and disjoint from what training sees."""

import ast
import inspect
from pathlib import Path

import numpy as np
import pytest

from benchmarks.dmm import heldout, heldout_meshes, heldout_monitors
from benchmarks.dmm.heldout import CASES, CASES_3D, case, plan, steep_third
from meshmove.geometry import facets_of
from meshmove.geometry.checks import check_cells, check_facets
from meshmove.procedural import FAMILIES
from meshmove.procedural.monitors.analytic_terms import KINDS
from meshmove.procedural.monitors.random_terms import RECIPES

ROOT = Path(__file__).parents[2]


def plain(name):
    return name.lower().replace("_", " ").replace("-", " ")


def functions(module):
    return {f for _, f in inspect.getmembers(module, inspect.isfunction) if f.__module__ == module.__name__}


def test_held_out_families_are_not_those_of_training():
    for dim in (2, 3):
        ours = heldout_meshes.MESHES[dim]
        assert not {plain(n) for n in ours} & {plain(n) for n in FAMILIES[dim]}
        assert not set(ours.values()) & set(FAMILIES[dim].values())
    assert not {plain(n) for n in heldout_monitors.MONITORS} & {plain(n) for n in [*RECIPES, *KINDS]}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_suite_and_training_share_no_code():
    for module in (heldout, heldout_meshes, heldout_monitors):
        assert not any("training" in name or "neural" in name for name in imported(Path(module.__file__)))
    for path in (ROOT / "meshmove").rglob("*.py"):
        assert not any(name.startswith("benchmarks") for name in imported(path)), path
    # and training does not use the mesher that the suite uses
    for path in (ROOT / "meshmove" / "training").glob("*.py"):
        assert not any("domains" in name for name in imported(path)), path


def test_the_suite_has_five_hundred_pairs_of_every_shape_with_every_form():
    plans = [plan(s) for s in range(CASES + CASES_3D)]
    assert sum(p.dim == 2 for p in plans) == CASES >= 500
    assert sum(p.dim == 3 for p in plans) == CASES_3D >= 60
    for dim in (2, 3):
        pairs = {(p.shape, p.form) for p in plans if p.dim == dim}
        assert len(pairs) == len(heldout_meshes.MESHES[dim]) * len(heldout_monitors.MONITORS)


@pytest.mark.parametrize("seed", [*range(0, 11), *range(500, 504)])
def test_cases_are_fixed_sound_and_positive(seed):
    one, two = case(seed, nodes=400), case(seed, nodes=400)
    check_cells(one.mesh)
    check_facets(one.mesh, facets_of(one.mesh), np.zeros(one.mesh.n_points, bool))
    assert 200 < one.mesh.n_points < 800
    x = one.mesh.points.T
    m = one.monitor(x)
    assert np.array_equal(x, two.mesh.points.T) and np.array_equal(m, two.monitor(x))
    assert m.shape == (x.shape[1],) and np.isfinite(m).all() and m.min() > 0


def test_a_case_keeps_its_monitor_when_its_mesh_grows():
    coarse, fine = case(2, nodes=400), case(2, nodes=4000)
    assert coarse.name == fine.name and fine.mesh.n_points > 5 * coarse.mesh.n_points
    x = 0.5 * coarse.mesh.points.T
    np.testing.assert_allclose(coarse.monitor(x), fine.monitor(x), rtol=0.1)


def test_the_steep_third_is_the_steepest():
    steep = set(steep_third())
    assert len(steep) == CASES // 3
    least = min(plan(s).steepness for s in steep)
    assert all(plan(s).steepness <= least for s in range(CASES) if s not in steep)


def test_no_such_case():
    with pytest.raises(ValueError, match="Expected a case"):
        case(CASES + CASES_3D)
