"""The examples: each runs, reaches its number, and leaves its pictures."""

import runpy
import tomllib
from pathlib import Path

import pytest

pytest.importorskip("pyvista")

EXAMPLES = Path(__file__).parents[2] / "examples"
PNG = b"\x89PNG"

ASSERTED = tomllib.loads((EXAMPLES / "asserted.toml").read_text(encoding="utf-8"))
#: what the error was and is, for loops in time; "uniform" and "adapted" elsewhere
IN_TIME = dict.fromkeys(
    ("burgers_front", "rotating_bump", "heat_source", "allen_cahn", "slotted_cylinder", "cylinder_wake"),
    ("fixed", "moving"),
)
IN_TIME |= dict.fromkeys(("piston", "pitching_airfoil"), ("uniform", "adapted"))


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


@pytest.mark.parametrize("name", sorted(set(ASSERTED) - {"mmpde_own_data"}))
def test_the_number_is_reached_and_the_pictures_are_there(name, numbers):
    found, out = numbers(name)
    wanted = ASSERTED[name]
    for key, least in wanted.get("at_least", {}).items():
        assert found[key] >= least, key
    for key, most in wanted.get("at_most", {}).items():
        assert found[key] <= most, key
    if "factor" in found:
        before, after = IN_TIME.get(name, ("uniform", "adapted"))
        assert found["factor"] == pytest.approx(found[before] / found[after])
    for picture in wanted["pictures"]:
        film = out / f"{picture}.gif"
        content = (film if film.exists() else out / f"{picture}.png").read_bytes()
        assert len(content) > 100_000 if film.exists() else content.startswith(PNG) and len(content) > 20_000


@pytest.mark.parametrize("name", IN_TIME)
def test_a_loop_in_time_takes_few_added_lines(name):
    lines = (EXAMPLES / f"{name}.py").read_text().splitlines()
    assert sum(line.endswith("# <- meshmove") for line in lines) <= 8


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
    assert scripts == set(ASSERTED)
    table = (EXAMPLES / "README.md").read_text()
    assert all(f"`{name}.py`" in table for name in scripts)


def test_a_time_loop_hands_its_steps_to_a_model(numbers):
    found, _ = numbers("mmpde_time_loop")
    assert found["error"] < 0.03 < found["error without tests"] < 0.1
    lines = (EXAMPLES / "mmpde_time_loop.py").read_text().splitlines()
    assert 3 <= sum(line.endswith("# <- meshmove") for line in lines) < 10


def test_fronts_stay_sharp_on_a_moving_mesh(numbers):
    found, _ = numbers("mmpde_fronts")
    assert found["two branches"] < 0.6 * found["true values at the nodes"] < found["one branch"]


def test_a_coarse_solver_is_corrected_on_a_grid_and_off_it(numbers):
    found, _ = numbers("mmpde_correct_solver")
    for where in ("grid", "Delaunay"):
        assert found[f"corrected, {where}"] < 0.5 * found[f"solver, {where}"]


@pytest.mark.parametrize(("data", "steps"), [("vessels", 30), ("spots", 150)])
def test_a_model_is_trained_on_data_of_ones_own(data, steps, tmp_path):
    """With a twentieth of the steps: what counts is that data, training and pictures fit together."""
    main = runpy.run_path(str(EXAMPLES / "mmpde_own_data.py"))["main"]
    found = main(data=data, steps=steps, out=tmp_path, small=True)
    assert 0 < found["error"] < ASSERTED["mmpde_own_data"]["share"][data] * found["if nothing changed"]
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
