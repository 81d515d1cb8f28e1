"""Examples of models that step in time."""

import runpy

import pytest

from tests.docs.examples.cases import ASSERTED, EXAMPLES, STEPPERS, added_lines, assert_reached

pytest.importorskip("pyvista")


@pytest.mark.parametrize("name", sorted(set(STEPPERS) - {"mmpde_own_data"}))
def test_the_number_is_reached_and_the_pictures_are_there(name, numbers):
    assert_reached(name, *numbers(name))


def test_a_time_loop_hands_its_steps_to_a_model(numbers):
    found, _ = numbers("mmpde_time_loop")
    assert found["error"] < 0.03 < found["error without tests"] < 0.1
    assert 3 <= len(added_lines("mmpde_time_loop")[0]) < 10


def test_fronts_stay_sharp_on_a_moving_mesh(numbers):
    found, _ = numbers("mmpde_fronts")
    assert found["two branches"] < 0.6 * found["true values at the nodes"] < found["one branch"]


def test_a_coarse_solver_is_corrected_on_a_grid_and_off_it(numbers):
    found, _ = numbers("mmpde_correct_solver")
    for where in ("grid", "Delaunay"):
        assert found[f"corrected, {where}"] < 0.5 * found[f"solver, {where}"]


def test_sensors_tell_more_of_the_viscosity_with_a_corrected_solver(numbers):
    found, _ = numbers("mmpde_sensors")
    for what in ("viscosity", "start"):
        assert found[f"{what}, corrected"] < 0.7 * found[f"{what}, solver"]


@pytest.mark.parametrize(("data", "steps"), [("vessels", 30), ("spots", 150)])
def test_a_model_is_trained_on_data_of_ones_own(data, steps, tmp_path):
    """With a twentieth of the steps: what counts is that data, training and pictures fit together."""
    main = runpy.run_path(str(EXAMPLES / "mmpde_own_data.py"))["main"]
    found = main(data=data, steps=steps, out=tmp_path, small=True)
    assert 0 < found["error"] < ASSERTED["mmpde_own_data"]["share"][data] * found["if nothing changed"]
    assert (tmp_path / f"mmpde_{data}.gif").stat().st_size > 50_000
