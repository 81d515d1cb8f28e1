"""Examples of linear problems that a network solves."""

import pytest

from tests.docs.examples.cases import SOLVED, assert_reached

pytest.importorskip("pyvista")


@pytest.mark.parametrize("name", SOLVED)
def test_the_number_is_reached_and_the_pictures_are_there(name, numbers):
    assert_reached(name, *numbers(name))


def test_one_solve_on_the_predicted_mesh_is_as_good_as_the_loop(numbers):
    found, _ = numbers("predict_move_solve")
    assert found["adapted"] < 1.2 * found["loop"]
    assert found["refined"] < found["uniform"]
