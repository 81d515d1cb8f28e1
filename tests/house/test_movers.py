"""One table of movers: what is added there is known to `adapt`, `MovingMesh`, time steps and the command line."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import skfem

import meshmove
from meshmove.adaptation import movers_by_name
from meshmove.adaptation.movers_by_name import MOVERS, NAMES
from meshmove.meshes.source import Source
from meshmove.motion.frames import Moving
from meshmove.movers import Move

ROOT = Path(__file__).parents[2]
MESH = skfem.MeshTri().refined(2)


@dataclass(frozen=True)
class Lazy:
    """Goes nowhere, and counts how often it was asked."""

    calls: list
    name: str = "lazy"

    def __call__(self, problem):
        self.calls.append(problem)
        return Move(problem.start, 1)


@pytest.fixture
def lazy(monkeypatch):
    mover = Lazy([])
    monkeypatch.setitem(MOVERS, "lazy", lambda device, objective: mover)
    return mover


def front(x):
    return np.tanh(9 * (x[0] - 0.4))


def test_adapt_knows_it(lazy):
    out = meshmove.adapt(MESH, monitor=lambda x: 1 + x[0], mover="lazy")
    assert lazy.calls and out.report.mover == "lazy"


def test_loops_and_moving_meshes_know_it(lazy):
    meshmove.adapt_loop(MESH, lambda mesh: front(mesh.p), steps=1, mover="lazy")
    before = len(lazy.calls)
    moving = meshmove.MovingMesh(MESH, mover="lazy")
    moving.step(front(MESH.p), 0.1)
    assert len(lazy.calls) > before > 0


def test_time_steps_know_it(lazy):
    Moving(Source.of(MESH).cells, mover="lazy")(front(MESH.p))
    assert lazy.calls


def test_errors_and_the_command_line_list_the_table(monkeypatch):
    with pytest.raises(ValueError, match=", ".join(map(repr, movers_by_name.NAMES))):
        meshmove.adapt(MESH, front, mover="nobody")
    with pytest.raises(ValueError, match="'smooth'"):
        Moving(Source.of(MESH).cells, mover="nobody")
    commands = "".join(p.read_text() for p in sorted((ROOT / "meshmove" / "cli").glob("*.py")))
    assert not [name for name in MOVERS if f'"{name}"' in commands] and "NAMES" in commands


def test_names_stand_nowhere_else_in_the_source():
    """But as defaults, and where a mover says its own name."""
    known = {"adaptation/movers_by_name.py", "adaptation/adapt.py", "motion/frames.py"}
    for path in (ROOT / "meshmove").rglob("*.py"):
        text = path.read_text()
        listed = sum(f'"{name}"' in text for name in MOVERS)
        assert listed < 2 or str(path.relative_to(ROOT / "meshmove")) in known, path


@pytest.mark.parametrize("name", NAMES)
def test_the_docs_name_them_all(name):
    assert any(f'"{name}"' in page.read_text() for page in (ROOT / "docs").glob("*.md"))
    assert f'"{name}"' in (meshmove.adapt.__doc__ or "")
