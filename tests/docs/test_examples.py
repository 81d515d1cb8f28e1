"""The examples: each runs, reaches its number, and leaves its pictures."""

import runpy
from pathlib import Path

import pytest

pytest.importorskip("pyvista")

EXAMPLES = Path(__file__).parents[2] / "examples"
PNG = b"\x89PNG"

# what the error must at least be divided by, and the pictures; figures as measured are in examples/README.md
WANTED = {
    "poisson_steep": (3.8, ["poisson_steep"]),
    "cylinder_channel": (3.0, ["cylinder_channel", "cylinder_channel_zoom"]),
    "reentrant_corner": (2.2, ["reentrant_corner"]),
    "elastic_bracket": (1.4, ["elastic_bracket"]),
    "ball_tets": (2.0, ["ball_tets"]),
    "hexbeam": (2.5, ["hexbeam"]),
    "predict_move_solve": (2.8, ["predict_move_solve"]),
    "membrane_energy": (3.5, ["membrane_energy"]),
    "soap_film": (6.0, ["soap_film"]),
    "rubber_block": (2.5, ["rubber_block"]),
    "goal_deflection": (2.2, ["goal_deflection"]),
}
# solutions without a mesh: what the relative L2 error must at most be, and the pictures
SOLVED = {
    "holes_poisson": (1e-5, ["holes_poisson", "holes_poisson_refined", "holes_poisson_history"]),
    "heat_rod": (1e-8, ["heat_rod"]),
    "vibrating_string": (1e-7, ["vibrating_string"]),
}


# loops in time: what the error must at least be divided by, where it was, and where it is
IN_TIME = {
    "burgers_front": (12, "fixed", "moving"),
    "rotating_bump": (8, "fixed", "moving"),
    "heat_source": (5, "fixed", "moving"),
    "allen_cahn": (4, "fixed", "moving"),
    "piston": (11, "uniform", "adapted"),
}


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    """Each example is run once."""
    done = {}

    def run(name):
        if name not in done:
            out = tmp_path_factory.mktemp(name)
            done[name] = runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"](out=out), out
        return done[name]

    return run


@pytest.mark.parametrize("name", WANTED)
def test_the_error_falls_and_the_picture_is_there(name, numbers):
    found, out = numbers(name)
    factor, pictures = WANTED[name]
    assert found["factor"] == pytest.approx(found["uniform"] / found["adapted"])
    assert found["factor"] >= factor
    for picture in pictures:
        content = (out / f"{picture}.png").read_bytes()
        assert content.startswith(PNG) and len(content) > 20_000


@pytest.mark.parametrize("name", IN_TIME)
def test_a_loop_in_time_gains_and_leaves_its_film(name, numbers):
    found, out = numbers(name)
    least, before, after = IN_TIME[name]
    assert found["factor"] == pytest.approx(found[before] / found[after]) and found["factor"] >= least
    assert (out / f"{name}.gif").stat().st_size > 100_000
    lines = (EXAMPLES / f"{name}.py").read_text().splitlines()
    assert sum(line.endswith("# <- meshmove") for line in lines) <= 8


def test_nodes_of_the_front_keep_its_pace_and_the_mass_stays(numbers):
    assert numbers("burgers_front")[0]["fastest node / front"] < 3
    assert numbers("rotating_bump")[0]["mass off by"] < 1e-12
    assert numbers("piston")[0]["mass off by"] < 1e-12
    assert numbers("piston")[0]["piston off by"] < 1e-14


@pytest.mark.parametrize("name", SOLVED)
def test_the_solution_is_exact_and_the_pictures_are_there(name, numbers):
    found, out = numbers(name)
    limit, pictures = SOLVED[name]
    assert found["error"] <= limit
    assert found["estimated"] <= 1e-5  # the tolerance of a projection
    for picture in pictures:
        content = (out / f"{picture}.png").read_bytes()
        assert content.startswith(PNG) and len(content) > 20_000


def test_one_solve_on_the_predicted_mesh_is_as_good_as_the_loop(numbers):
    found, _ = numbers("predict_move_solve")
    assert found["adapted"] < 1.2 * found["loop"]
    assert found["refined"] < found["uniform"]


@pytest.mark.parametrize("name", ["membrane_energy", "goal_deflection"])
def test_a_mesh_for_what_is_wanted_is_better_than_one_for_the_field(name, numbers):
    found, _ = numbers(name)
    assert 1.2 * found["adapted"] < found["by field"] < found["uniform"]


def test_every_example_is_listed():
    scripts = {path.stem for path in EXAMPLES.glob("*.py")} - {"demo"}
    assert scripts == set(WANTED) | set(SOLVED) | set(IN_TIME) | {"mmpde_time_loop", "mmpde_own_data", "mmpde_fronts"}
    table = (EXAMPLES / "README.md").read_text()
    assert all(f"`{name}.py`" in table for name in scripts)


def test_a_time_loop_hands_its_steps_to_a_model(numbers):
    found, out = numbers("mmpde_time_loop")
    assert 3 <= found["given back"] < 15 and found["error"] < 0.03 < found["error without tests"] < 0.1
    assert (out / "mmpde_time_loop.gif").stat().st_size > 100_000
    lines = (EXAMPLES / "mmpde_time_loop.py").read_text().splitlines()
    assert 3 <= sum(line.endswith("# <- meshmove") for line in lines) < 10


def test_fronts_stay_sharp_on_a_moving_mesh(numbers):
    found, out = numbers("mmpde_fronts")
    assert found["two branches"] < 0.6 * found["true values at the nodes"] < found["one branch"]
    assert len((out / "mmpde_fronts.png").read_bytes()) > 20_000


@pytest.mark.parametrize(("data", "steps", "share"), [("vessels", 30, 0.9), ("spots", 150, 0.8)])
def test_a_model_is_trained_on_data_of_ones_own(data, steps, share, tmp_path):
    """With a twentieth of the steps: what counts is that data, training and pictures fit together."""
    main = runpy.run_path(str(EXAMPLES / "mmpde_own_data.py"))["main"]
    found = main(data=data, steps=steps, out=tmp_path, small=True)
    assert 0 < found["error"] < share * found["if nothing changed"]
    assert (tmp_path / f"mmpde_{data}.gif").stat().st_size > 50_000


def test_the_steep_problem_takes_fewer_than_ten_added_lines():
    lines = (EXAMPLES / "poisson_steep.py").read_text().splitlines()
    added = [line for line in lines if line.endswith("# <- meshmove")]
    assert 3 <= len(added) < 10
    rest = [line for line in lines if line not in added]
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
    assert found["adapted"] < 0.14  # of the peak stress
    assert found["adapted energy"] < 1.1 * found["uniform energy"]


def test_the_beam_keeps_its_hexahedra(numbers):
    assert numbers("hexbeam")[0]["cells"] == 40 * 8**2
