"""Warnings have names, which scripts can react to."""

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
import skfem

import meshmove
from meshmove import Outcome
from meshmove.movers import Move

MESH = skfem.MeshTri().refined(3)
ALL_BUT_ONE = np.setdiff1d(np.arange(MESH.nvertices), MESH.interior_nodes()[:1])


def test_every_outcome_has_its_section_in_the_docs():
    page = (Path(__file__).parents[2] / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    for outcome in Outcome:
        assert f"## {outcome.name}\n\n{outcome.cause}\n\n**Try:** {outcome.remedy}\n" in page
    assert page.count("\n## ") == len(Outcome)


def test_a_warning_is_its_text_and_keeps_its_name():
    told = Outcome.TOO_STEEP.told("the imbalance stays")
    assert told == "the imbalance stays" and isinstance(told, str)
    for again in (pickle.loads(pickle.dumps(told)), copy.deepcopy(told), copy.copy(told)):
        assert again == told and again.outcome is Outcome.TOO_STEEP


class Wild:
    name = "wild"

    def __call__(self, problem):
        return Move(problem.start + 0.3, 1)


class Worse:
    name = "worse"

    def __call__(self, problem):
        inside = (np.abs(problem.start - problem.start.mean(axis=0)) < 0.3).all(axis=1)
        return Move(problem.start + 0.02 * inside[:, None], 1)


CASES = {
    "NOTHING_TO_MEET": {"monitor": lambda x: 1 + 0 * x[0]},
    "TOO_STEEP": {"monitor": lambda x: 1 + 50 * x[0] ** 4, "fixed": ALL_BUT_ONE},
    "BROUGHT_BACK": {"monitor": lambda x: 1 + x[0], "mover": Wild()},
    "MADE_WORSE": {"monitor": lambda x: 1 + 1e-3 * x[0], "mover": Worse()},
}


@pytest.mark.parametrize("name", CASES)
def test_what_happened_has_the_right_name(name):
    report = meshmove.adapt(MESH, **CASES[name]).report
    assert Outcome[name] in report.outcomes and len(report.outcomes) <= len(report.warnings)
    assert all(isinstance(w, str) for w in report.warnings)


def test_a_good_move_has_none():
    report = meshmove.adapt(skfem.MeshTri().refined(4), lambda x: np.tanh(20 * (x[0] - 0.5))).report
    assert report.outcomes == () == report.warnings


def test_no_gain_is_told():
    mesh = skfem.MeshTri().refined(3)
    out = meshmove.adapt(mesh, mesh.p[0] + 2 * mesh.p[1])
    assert out.report.outcomes == (Outcome.NOTHING_TO_MEET,)
