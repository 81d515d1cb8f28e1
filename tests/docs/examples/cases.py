"""The examples by theme, one file of tests each, so that processes can share them; and what each is held to."""

import tomllib
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"
PNG = b"\x89PNG"

ASSERTED = tomllib.loads((EXAMPLES / "asserted.toml").read_text(encoding="utf-8"))

#: what moves in time
IN_TIME = [
    "allen_cahn",
    "burgers_front",
    "cylinder_wake",
    "heat_source",
    "piston",
    "pitching_airfoil",
    "rotating_bump",
    "slotted_cylinder",
]
#: linear problems solved by a network
SOLVED = ["heat_rod", "holes_poisson", "predict_move_solve", "vibrating_string"]
#: models that step in time
STEPPERS = ["mmpde_correct_solver", "mmpde_fronts", "mmpde_own_data", "mmpde_sensors", "mmpde_time_loop"]
#: what is solved by finite elements, once or in a loop of solves
STEADY = sorted(set(ASSERTED) - {*IN_TIME, *SOLVED, *STEPPERS})

#: what the error was and is, for loops in time; "uniform" and "adapted" elsewhere
BEFORE_AND_AFTER = dict.fromkeys(IN_TIME, ("fixed", "moving"))
BEFORE_AND_AFTER |= dict.fromkeys(["piston", "pitching_airfoil"], ("uniform", "adapted"))


def assert_reached(name, found, out):
    """The numbers that an example gave back are within their bounds, and its pictures are in the folder `out`."""
    wanted = ASSERTED[name]
    for key, least in wanted.get("at_least", {}).items():
        assert found[key] >= least, key
    for key, most in wanted.get("at_most", {}).items():
        assert found[key] <= most, key
    if "factor" in found:
        before, after = BEFORE_AND_AFTER.get(name, ("uniform", "adapted"))
        assert found["factor"] == pytest.approx(found[before] / found[after])
    for picture in wanted["pictures"]:
        film = out / f"{picture}.gif"
        content = (film if film.exists() else out / f"{picture}.png").read_bytes()
        assert len(content) > 100_000 if film.exists() else content.startswith(PNG) and len(content) > 20_000


def added_lines(name):
    """The lines that an example marks as those that meshmove adds, and the others."""
    lines = (EXAMPLES / f"{name}.py").read_text().splitlines()
    added = [line for line in lines if line.endswith("# <- meshmove")]
    return added, [line for line in lines if line not in added]
