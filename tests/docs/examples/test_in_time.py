"""Examples that move in time."""

import pytest

from tests.docs.examples.cases import IN_TIME, added_lines, assert_reached

pytest.importorskip("pyvista")


@pytest.mark.parametrize("name", IN_TIME)
def test_the_number_is_reached_and_the_pictures_are_there(name, numbers):
    assert_reached(name, *numbers(name))


@pytest.mark.parametrize("name", IN_TIME)
def test_a_loop_in_time_takes_few_added_lines(name):
    assert len(added_lines(name)[0]) <= 8
