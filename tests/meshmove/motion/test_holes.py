"""A front that passes holes: cells that are left behind there do not stay on it, and the mesh is not led astray."""

import numpy as np
import pytest
import skfem

from meshmove import MovingMesh

WIDTH, END, STEPS, AT_REST = 0.08, 0.24, 12, 8


def front(t):
    return lambda x: np.tanh((x[0] - 0.6 - t) / WIDTH)


def holed_square():
    mesh = skfem.MeshQuad.init_tensor(np.linspace(0, 2, 41), np.linspace(0, 1, 21))
    middle = mesh.p[:, mesh.t].mean(axis=1)
    return mesh.remove_elements(np.flatnonzero((np.abs(middle - 0.5) < 0.15).all(axis=0)))


@pytest.fixture(scope="module")
def plates(tmp_path_factory):
    """Made by Gmsh, of triangles and of quadrilaterals, around three round holes."""
    gmsh = pytest.importorskip("gmsh", exc_type=ImportError)
    files = {kind: str(tmp_path_factory.mktemp("plate") / f"{kind}.msh") for kind in ("triangle", "quad")}
    gmsh.initialize(interruptible=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        occ, at = gmsh.model.occ, ((0.5, 0.5), (1.3, 0.35), (1.6, 0.75))
        disks = [(2, occ.addDisk(*middle, 0, 0.15, 0.15)) for middle in at]
        occ.cut([(2, occ.addRectangle(0, 0, 0, 2, 1))], disks)
        occ.synchronize()
        for kind, size, split in (("triangle", 0.05, 0), ("quad", 0.08, 1)):
            for name, value in {"MeshSizeMax": size, "RecombineAll": split, "SubdivisionAlgorithm": split}.items():
                gmsh.option.setNumber(f"Mesh.{name}", value)
            gmsh.model.mesh.clear()
            gmsh.model.mesh.generate(2)
            gmsh.write(files[kind])
    finally:
        gmsh.finalize()
    return {kind: skfem.Mesh.load(file) for kind, file in files.items()}


def gains(mesh, element, given, share=0.0, **options):
    """L2 errors of interpolation over those at rest: when the front has passed, and when it has stood for a while."""
    moving, out = MovingMesh(mesh, **options), []
    moving.start(front(0))
    for k in range(STEPS + AT_REST):
        step = moving.step(given(moving.mesh, front(min(k / STEPS, 1.0) * END)), END / STEPS)
        assert step.report.share >= share and not step.report.inverted_cells
        if k + 1 in (STEPS, STEPS + AT_REST):
            out.append(missed(moving.mesh, element) / missed(mesh, element))
    return out


def missed(mesh, element):
    basis = skfem.Basis(mesh, element, intorder=6)
    form = skfem.Functional(lambda w: (w["u"] - front(END)(w.x)) ** 2)
    return float(np.sqrt(form.assemble(basis, u=basis.interpolate(basis.project(front(END))))))


def test_quadrilaterals_behind_a_hole_are_aligned():
    """0.17; by transport alone 1.2."""
    assert max(gains(holed_square(), skfem.ElementQuad1(), lambda mesh, f: f)) < 0.5


def test_a_place_that_was_led_astray_is_found_anew(plates):
    """0.43 and 0.3; where the two descents are trusted for good the mesh comes to several times the error at rest."""
    assert max(gains(plates["quad"], skfem.ElementQuad1(), lambda mesh, f: f)) < 0.8


def test_fields_of_second_order_are_aligned_too(plates):
    """0.7 and 0.4; by transport alone 1.9 and 0.8."""

    def given(mesh, f):
        basis = skfem.Basis(mesh, skfem.ElementTriP2())
        return basis, basis.project(f)

    assert max(gains(plates["triangle"], skfem.ElementTriP2(), given)) < 1


@pytest.mark.parametrize("kind", ["triangle", "quad"])
def test_the_network_follows_past_holes(plates, kind):
    """0.39 and 0.44 at most: by the network for monitors cells are all but flat, and the mesh soon sticks."""
    pytest.importorskip("torch")
    element = {"triangle": skfem.ElementTriP1(), "quad": skfem.ElementQuad1()}[kind]
    assert max(gains(plates[kind], element, lambda mesh, f: f, share=1.0, mover="dmm")) < 0.8
