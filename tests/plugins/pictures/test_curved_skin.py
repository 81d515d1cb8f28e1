"""Cells of second order are drawn as they are bent, with their values, and inside the picture."""

from dataclasses import replace

import numpy as np
import pytest
import skfem

pytest.importorskip("pyvista")

from meshmove.meshes.source import Source  # noqa: E402
from meshmove.plugins.figures.curved_skin import CurvedSkin, is_curved  # noqa: E402
from meshmove.plugins.figures.skin import Skin  # noqa: E402
from meshmove.plugins.pictures.screen import Look, Screen  # noqa: E402
from meshmove.plugins.pictures.stills import limits_of, stills_of  # noqa: E402


def ring():
    """A quarter of it, of four quadrilaterals."""
    mesh = skfem.MeshQuad2.from_mesh(skfem.MeshQuad.init_tensor(*[np.linspace(0, 1, 3)] * 2))
    angle, radius = mesh.doflocs[0] * np.pi / 2, 1 + mesh.doflocs[1]
    return replace(mesh, doflocs=radius * np.stack([np.cos(angle), np.sin(angle)]))


def box():
    mesh = skfem.MeshHex2.from_mesh(skfem.MeshHex().refined(1))
    return replace(mesh, doflocs=mesh.doflocs + 0.1 * np.sin(np.pi * mesh.doflocs[[1, 2, 0]]))


CASES = {
    "triangles": (skfem.MeshTri2.init_circle(1), np.pi),
    "quadrilaterals": (ring(), 0.75 * np.pi),
    "tetrahedra": (skfem.MeshTet2.from_mesh(skfem.MeshTet.init_ball(2)), None),
    "hexahedra": (box(), None),
}


@pytest.mark.parametrize("name", CASES)
def test_drawn_points_are_those_of_the_cells_and_so_are_values(name):
    mesh, area = CASES[name]
    cells = Source.of(mesh).cells
    slope = np.arange(1, cells.dim + 1)
    assert is_curved(cells)
    skin, toward = CurvedSkin(cells, None), np.array([0.0, 0.0, 1.0])
    skin.wear(cells.nodes, cells.nodes @ slope, toward, 100.0)
    drawn = np.asarray(skin.faces.points)
    np.testing.assert_allclose(skin.faces.point_data["shown"], drawn[:, : cells.dim] @ slope, atol=1e-12)
    straight = Skin(cells, None)
    straight.wear(cells.points, None, toward, 100.0)
    assert skin.faces.n_cells == 16 * straight.faces.n_cells and skin.edges.n_cells == straight.edges.n_cells
    if area is not None:
        assert abs(skin.faces.area / area - 1) < 0.01 < 0.08 < abs(straight.faces.area / area - 1)


def test_a_film_shows_the_bent_boundary_and_the_values_between_vertices():
    mesh = ring()
    bases = [skfem.Basis(m, skfem.ElementQuad2()) for m in (mesh, mesh.translated((0.1, 0)))]
    dofs = bases[0].zeros()
    dofs[bases[0].interior_dofs] = 1.0
    stills = stills_of([(b.mesh, (b, dofs), k) for k, b in enumerate(bases)])
    assert limits_of(stills) == (0.0, 1.0)
    screen = Screen(stills, Look(size=210, edges=False))
    picture = screen.image(0)[48:-76].astype(int)
    screen.close()
    coloured = (picture < 250).any(axis=2).sum()
    assert coloured == pytest.approx(0.75 * np.pi * 100**2, rel=0.03)  # of chords a tenth less
