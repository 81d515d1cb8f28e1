"""From before to after by a slider: a window, a part of a notebook, a page."""

import html
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import skfem

import meshmove

pyvista = pytest.importorskip("pyvista")

from meshmove.plugins.figures.kinds import shown  # noqa: E402
from meshmove.plugins.pictures import slider  # noqa: E402
from meshmove.plugins.pictures.films import viewer  # noqa: E402


@pytest.fixture(scope="module")
def out():
    mesh = skfem.MeshTri().refined(3)
    return meshmove.adapt(mesh, np.tanh(9 * (mesh.p[0] - 0.5)), effort=0.3)


def test_the_ends_are_the_meshes_and_half_way_is_between(out):
    stills, words = slider._between(shown(out, None), 2)
    assert words == ["before", "50 % of the way", "after"]
    assert np.array_equal(stills[0].cells.points, out.cells.points)
    assert np.array_equal(stills[2].cells.points, out.moved.points)
    assert np.allclose(stills[1].cells.points, (out.cells.points + out.moved.points) / 2)
    assert np.array_equal(stills[2].shown, out.fields["field"]) and stills[0].name == "field"
    x = stills[1].cells.points[:, 0]
    assert np.abs(stills[1].shown - np.tanh(9 * (x - 0.5))).max() < 0.35  # it stays while the mesh moves


def test_a_page_goes_from_before_to_after(out, tmp_path):
    assert out.view(tmp_path / "a.html", size=120, steps=2) == tmp_path / "a.html"
    listed = json.loads(re.search(r"frames = (\[.*?\n\]);", (tmp_path / "a.html").read_text(), re.DOTALL)[1])
    assert [word for word, _ in listed] == ["before", "50 % of the way", "after"]
    assert len({picture for _, picture in listed}) == 3


def test_notebooks_get_the_page_itself(out, monkeypatch):
    monkeypatch.setattr(slider, "_in_notebook", lambda: True)
    page = out.view(size=120, steps=1)
    told = page._repr_html_()
    assert told.startswith("<iframe srcdoc=") and "<script" not in told
    assert html.unescape(re.search('srcdoc="(.*?)"', told, re.DOTALL)[1]) == page.text
    assert "before" in page.text and "after" in page.text


def test_a_window_has_a_slider_over_the_way(out):
    stills, words = slider._between(shown(out, None), 4)
    plotter = viewer(stills, off_screen=True, times=words)
    representation = getattr(plotter, "widgets", plotter).slider_widgets[0].GetRepresentation()
    assert representation.GetMaximumValue() == 4
    plotter.close()


def test_a_browser_moves_the_slider(out, tmp_path):
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium here")
    path = out.view(tmp_path / "a.html", size=120, steps=2)
    text = path.read_text()
    path.write_text(text.replace("show(0);", 'show(0); slider.value = 2; slider.dispatchEvent(new Event("input"));'))
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run([*command, "--dump-dom", path.as_uri()], capture_output=True, text=True, timeout=300)
    last = json.loads(re.search(r"frames = (\[.*?\n\]);", text, re.DOTALL)[1])[2][1]
    assert f'src="data:image/png;base64,{last}"' in done.stdout


def test_a_scene_holds_both_meshes_on_one_page(tmp_path):
    pytest.importorskip("trame_pyvista")
    pytest.importorskip("nest_asyncio2")
    mesh = skfem.MeshTet.init_tensor(*[np.linspace(0, 1, 4)] * 3)
    path = meshmove.adapt(mesh, mesh.p[0] ** 4, effort=0.1).view(tmp_path / "a.html", scene=True)
    text = path.read_text()
    assert len(text) > 100_000 and 'src="http' not in text


def test_a_scene_is_for_a_page_and_names_what_it_lacks(out, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="Expected a file for a scene"):
        out.view(scene=True)
    monkeypatch.setitem(sys.modules, "trame_pyvista", None)
    with pytest.raises(meshmove.optional.MissingPackageError, match=r"trame_pyvista.*meshmove\[pyvista\]"):
        out.view(tmp_path / "a.html", scene=True)
    assert not list(tmp_path.iterdir())


def test_words_that_are_not_known_are_refused(out):
    with pytest.raises(ValueError, match="did you mean 'color'"):
        out.view("a.html", colour="u")
    with pytest.raises(ValueError, match=r"Expected a \.html file \(got 'a.png'\)"):
        out.view("a.png")
    with pytest.raises(ValueError, match="did you mean 'viridis'"):
        out.view("a.html", cmap="virids")
