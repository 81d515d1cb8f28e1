"""From before to after by a slider: a window, a part of a notebook, a page."""

import html
import json
import re

import numpy as np
import pytest
import skfem

import meshmove

pyvista = pytest.importorskip("pyvista")

from meshmove.plugins.pictures import slider  # noqa: E402
from meshmove.plugins.pictures.films import viewer  # noqa: E402


@pytest.fixture(scope="module")
def out():
    mesh = skfem.MeshTri().refined(3)
    return meshmove.adapt(mesh, np.tanh(9 * (mesh.p[0] - 0.5)), effort=0.3)


def test_the_ends_are_the_meshes_and_half_way_is_between(out):
    stills, words = slider._between(out, None, None, 2)
    assert words == ["before", "50 % of the way", "after"]
    assert np.array_equal(stills[0].cells.points, out.cells.points)
    assert np.array_equal(stills[2].cells.points, out.moved.points)
    assert np.allclose(stills[1].cells.points, (out.cells.points + out.moved.points) / 2)
    assert np.array_equal(stills[2].shown, out.fields["field"]) and stills[0].name == "field"


def test_a_page_goes_from_before_to_after(out, tmp_path):
    assert out.view(tmp_path / "a.html", size=120, steps=2) == tmp_path / "a.html"
    listed = json.loads(re.search(r"frames = (\[.*?\n\]);", (tmp_path / "a.html").read_text(), re.DOTALL)[1])
    assert [word for word, _ in listed] == ["before", "50 % of the way", "after"]
    assert len({picture for _, picture in listed}) == 3


def test_notebooks_get_the_page_itself(out, monkeypatch):
    monkeypatch.setattr(slider, "_in_notebook", lambda: True)
    page = out.view(size=120, steps=1)
    shown = page._repr_html_()
    assert shown.startswith("<iframe srcdoc=") and "<script" not in shown
    assert html.unescape(re.search('srcdoc="(.*?)"', shown, re.DOTALL)[1]) == page.text
    assert "before" in page.text and "after" in page.text


def test_a_window_has_a_slider_over_the_way(out):
    stills, words = slider._between(out, None, None, 4)
    plotter = viewer(stills, off_screen=True, times=words)
    representation = getattr(plotter, "widgets", plotter).slider_widgets[0].GetRepresentation()
    assert representation.GetMaximumValue() == 4
    plotter.close()


def test_words_that_are_not_known_are_refused(out):
    with pytest.raises(ValueError, match="did you mean 'color'"):
        out.view("a.html", colour="u")
    with pytest.raises(ValueError, match=r"Expected a .* file \(got 'a.png'\)"):
        out.view("a.png")
