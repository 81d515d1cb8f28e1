"""Random meshes and random monitors: no inverted cell, no undocumented exception, no endless loop."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.adapting import random_meshes as meshes
from benchmarks.adapting import robustness
from meshmove.geometry import corner_volumes, inverted_cells

#: seeds run in a test of their own, so that a failure names a small range
CHUNK = 50


def failures(first: int, last: int) -> list[str]:
    found = []
    for seed in range(first, last):
        case = robustness.case(seed)
        wrong = robustness.broken_law(case)
        if wrong:
            found.append(f"seed {seed} [{case.label}]: {wrong}")
    return found


@pytest.mark.parametrize("first", range(0, 100, CHUNK))
def test_no_law_is_broken(first):
    assert failures(first, first + CHUNK) == []


@pytest.mark.long
@pytest.mark.parametrize("first", range(100, 10_100, 250))
def test_no_law_is_broken_in_the_long_run(first):
    assert failures(first, first + 250) == []


@pytest.mark.parametrize("kind", ["polygon", *meshes.KINDS])
def test_a_seed_gives_the_same_case(kind):
    a, b = robustness.case(7, kind), robustness.case(7, kind)
    assert a.label == b.label
    assert np.array_equal(a.sample.mesh.points, b.sample.mesh.points)


@pytest.mark.parametrize("kind", ["polygon", *meshes.KINDS])
def test_random_meshes_are_valid_and_varied(kind):
    counts = set()
    for seed in range(8):
        mesh = meshes.random_mesh(np.random.default_rng(seed), kind).mesh
        assert (corner_volumes(mesh) != 0).all()
        counts.add(mesh.n_cells)
    assert len(counts) > 3


def test_the_check_sees_an_inverted_cell(monkeypatch):
    case = robustness.case(0, "triangles")
    mesh = case.sample.mesh
    outs = case.run()
    bad = mesh.points.copy()
    a, b, c = mesh.blocks[0].nodes[0]
    bad[a] = bad[b] + bad[c] - bad[a]  # to the other side of the opposite edge
    assert len(inverted_cells(mesh, bad))
    wrong = robustness._valid(case, None, outs[0], bad)
    assert "inverted" in wrong


def test_the_check_sees_what_is_raised(monkeypatch):
    def broken(*args, **options):
        raise ZeroDivisionError("by chance")

    monkeypatch.setattr(robustness, "adapt", broken)
    assert robustness.broken_law(robustness.case(1)) == "undocumented ZeroDivisionError: by chance"


def test_an_arc_between_unevenly_spaced_nodes_may_bulge_as_a_circle_does():
    angle = np.array([0.0, 0.1, 0.7, 0.9])  # the longer edge has three times a neighbour's length
    s = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    edges = np.array([[0, 1], [1, 2], [2, 3]])
    sagitta = 1 - np.cos(0.3)
    assert sagitta < robustness.bulge(s, edges) < 2.2 * sagitta
