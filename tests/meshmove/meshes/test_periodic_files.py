"""Periodic images stay images through files, and where a format has no place for them that is said."""

import warnings

import meshio
import numpy as np
import pytest
import skfem

import meshmove
from meshmove.meshes.files.periodic import decode_periodic, encode_periodic, n_pairs

GRID = skfem.MeshTri().refined(3)


def periodic():
    """A square whose right side is the image of its left one, and whose top is that of its bottom."""
    x, y = GRID.p
    links = []
    for k, (across, along) in enumerate(((x, y), (y, x))):
        image, source = (np.flatnonzero(across == v) for v in (1, 0))
        order = [nodes[np.argsort(along[nodes])] for nodes in (image, source)]
        links.append([1, (2 + k, 4 + k), None, np.stack(order, axis=1)])
    points = np.pad(GRID.p.T, ((0, 0), (0, 1)))
    return meshio.Mesh(points, [("triangle", GRID.t.T)], gmsh_periodic=links)


def pairs(mesh):
    """Coordinates of each image and its source, by their entities."""
    found = {}
    for dim, (image, source), _, nodes in mesh.gmsh_periodic:
        ends = np.asarray(mesh.points)[np.asarray(nodes, np.int64)][:, :, :2].reshape(-1, 4)
        found[int(dim), int(image), int(source)] = ends[np.lexsort(ends.T)]
    return found


@pytest.mark.parametrize("ending", [".msh", ".vtu", ".vtk", ".xdmf"])
def test_pairs_come_back(tmp_path, ending):
    mesh = periodic()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        meshmove.save(mesh, tmp_path / f"square{ending}")
    again = meshmove.load(tmp_path / f"square{ending}")
    assert not any("periodic" in name for name in again.point_data)
    before, after = pairs(mesh), pairs(again)
    assert before.keys() == after.keys()
    assert all(np.allclose(before[k], after[k], atol=1e-14) for k in before)
    field = np.tanh(9 * (again.points[:, 0] + 0.3 * again.points[:, 1] - 0.7))
    for offsets in (ends[:, :2] - ends[:, 2:] for ends in pairs(meshmove.adapt(again, field).mesh).values()):
        assert np.allclose(offsets, offsets.mean(axis=0), atol=1e-12)


def test_pairs_of_nodes_that_are_numbered_anew():
    mesh, rng = periodic(), np.random.default_rng(0)
    before = pairs(mesh)
    encode_periodic(mesh)
    assert mesh.gmsh_periodic is None
    order = rng.permutation(len(mesh.points))
    mesh.points = mesh.points[order]
    mesh.point_data = {k: v[order] for k, v in mesh.point_data.items()}
    decode_periodic(mesh)
    after = pairs(mesh)
    assert not mesh.point_data and all(np.array_equal(before[k], after[k]) for k in before)


def test_a_format_without_a_place_for_pairs_says_so(tmp_path):
    with pytest.warns(meshmove.MeshFileWarning, match="periodic images"):
        meshmove.save(periodic(), tmp_path / "square.inp")
    assert n_pairs(meshmove.load(tmp_path / "square.inp")) == 0
