"""What notebooks show: all that is printed, escaped, well formed, and without colours of its own."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import skfem

import meshmove
from meshmove.geometry import Disk
from meshmove.meshes.source import Source
from meshmove.notebook import table
from meshmove.solvers import Dirichlet, LinearPDE, Solution


class Reader(HTMLParser):
    """Tags that are open, and the text."""

    def __init__(self):
        super().__init__()
        self.open, self.text = [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(shown):
    reader = Reader()
    reader.feed(shown)
    reader.close()
    assert not reader.open, "tags are left open"
    assert "script" not in shown and not re.search(r"(?<![-\w])(color|background)\s*:", shown)
    return reader.text


@pytest.fixture(scope="module")
def loop():
    mesh = skfem.MeshTri().refined(3)
    return meshmove.adapt_loop(mesh, lambda m: np.tanh(9 * (m.p[0] - 0.5)), steps=2, effort=0.2)


def test_texts_are_escaped():
    text = read(table([("<a & b>", '"c"')], ("x < y", "'"), "1 > 0", ("end & more",)))
    assert text == ["1 > 0", "x < y", "'", "<a & b>", '"c"', "end & more"]


def test_a_report_shows_all_that_it_prints(loop):
    report = replace(loop.report, monitor="<b>m</b>", warnings=("too <steep>",))
    text = read(report._repr_html_())
    assert text == [part for row in report.rows() for part in row] and {"<b>m</b>", "too <steep>"} <= set(text)
    printed = str(report).split()
    assert " ".join(text).split() == printed


def test_an_adaptation_and_a_loop_name_the_mesh_and_what_was_gained(loop):
    text = read(loop.adaptation._repr_html_())
    assert text[0] == "MeshTri1 with 81 nodes, moved" and "predicted error" in text
    text = read(loop._repr_html_())
    assert text[:2] == ["MeshTri1 with 81 nodes", "round"]
    below = [line for line in str(loop).splitlines() if line.startswith(("all", "warning"))]
    assert below == text[-len(below) :]
    assert len(loop._repr_html_()) < 4000


def test_a_solution_tells_its_doubts():
    pde = LinearPDE(Disk((0, 0), 1, name="rim"), uxx=-1, uyy=-1, source=4, conditions={"rim": Dirichlet()})
    solution = Solution(pde, lambda x: x[0], doubts=("the corner <is> sharp",))
    assert "the corner <is> sharp" in read(solution._repr_html_())
    assert "estimated relative error" not in read(solution._repr_html_())  # it would have to be computed


def test_a_rollout_tells_its_frames_and_warnings():
    pytest.importorskip("torch")
    from meshmove.solvers.mmpde.rollout import Trajectory

    mesh = skfem.MeshTri().refined(1)
    start = np.zeros((mesh.nvertices, 1))
    rollout = Trajectory(Source.of(mesh), ("u<v",), 0.1, 5, lambda *_: iter(()), start, (), ("outside & beyond",))
    assert read(rollout._repr_html_()) == [
        "rollout on 9 vertices", "frames", "6, 0.1 apart", "fields", "u<v", "warning", "outside & beyond",
    ]  # fmt: skip
    assert read(rollout.report._repr_html_()) == read(rollout._repr_html_())[1:]
