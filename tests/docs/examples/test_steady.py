"""Examples of what finite elements solve, once or in a loop of solves; and the list of all."""

import pytest

from tests.docs.examples.cases import (
    ASSERTED,
    EXAMPLES,
    IN_TIME,
    SOLVED,
    STEADY,
    STEPPERS,
    added_lines,
    assert_reached,
)

pytest.importorskip("pyvista")


def test_every_example_is_listed_and_has_one_theme():
    scripts = {path.stem for path in EXAMPLES.glob("*.py")} - {"demo"}
    assert scripts == set(ASSERTED)
    assert sorted([*IN_TIME, *SOLVED, *STEADY, *STEPPERS]) == sorted(scripts)
    table = (EXAMPLES / "README.md").read_text()
    assert all(f"`{name}.py`" in table for name in scripts)


@pytest.mark.parametrize("name", STEADY)
def test_the_number_is_reached_and_the_pictures_are_there(name, numbers):
    assert_reached(name, *numbers(name))


@pytest.mark.parametrize("name", ["membrane_energy", "goal_deflection"])
def test_a_mesh_for_what_is_wanted_is_better_than_one_for_the_field(name, numbers):
    found, _ = numbers(name)
    assert 1.2 * found["adapted"] < found["by field"] < found["uniform"]


def test_the_steep_problem_takes_fewer_than_ten_added_lines():
    added, rest = added_lines("poisson_steep")
    assert 3 <= len(added) < 10
    assert not any(
        "meshmove" in line or "adapt_loop" in line for line in rest[rest.index("from pathlib import Path") :]
    )


def test_the_channel_keeps_its_groups_and_gives_the_heat_more_exactly(numbers):
    found, out = numbers("cylinder_channel")
    assert found["tags kept"] == 5
    assert found["adapted heat"] < 0.8 * found["uniform heat"] < 0.01
    assert (out / "cylinder_channel.vtu").stat().st_size > 10_000


def test_nodes_of_the_fillet_stay_on_it(numbers):
    found, _ = numbers("elastic_bracket")
    assert found["off the arc"] < 1e-12
    assert found["adapted"] < 0.65 * found["uniform"]  # of the peak stress
    assert found["adapted energy"] < found["uniform energy"]  # which it was not moved for


def test_the_beam_keeps_its_hexahedra(numbers):
    assert numbers("hexbeam")[0]["cells"] == 40 * 8**2
