"""Advection and diffusion in closed vessels: orders, conserved mass, tangential flow, and seeded data."""

import numpy as np
import pytest
import skfem
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import jnp_zeros, jv
from skfem.models.poisson import mass

from meshmove.geometry import FieldError, cell_volumes
from meshmove.geometry.domains import Disk
from meshmove.solvers.fem.meshes import skfem_mesh
from meshmove.solvers.generators.advection import (
    advection_dataset,
    advection_frames,
    random_vessel,
    stream_function,
    velocity_of,
)

DISK, RING = Disk((0, 0), 1, "wall"), Disk((0, 0), 1, "wall") - Disk((0, 0), 0.4, "hole")


def turning(mesh):
    """The stream function of a rigid rotation, and the values (1 - r^2) / 2 that it takes at the hole."""
    hole = {"hole": (1 - 0.4**2) / 2} if "hole" in mesh.facets else {}
    return stream_function(mesh, lambda x: 2 + 0 * x[0], {"wall": 0.0, **hole})


def mode(x, t, kappa, m=2):
    """An exact solution on the disk that turns: Bessel's function, its slope zero at the wall."""
    k = jnp_zeros(m, 1)[0]
    r, angle = np.hypot(*x), np.arctan2(x[1], x[0])
    return jv(m, k * r) * np.cos(m * (angle - t)) * np.exp(-kappa * k**2 * t)


def mass_matrix(mesh):
    return mass.assemble(skfem.Basis(skfem_mesh(mesh), skfem.ElementTriP1()))


def test_second_order_against_a_turning_mode():
    errors = []
    for size, steps in ((0.2, 8), (0.1, 16), (0.05, 32)):
        mesh = DISK.mesh(size, engine="scipy")
        start = mode(mesh.points.T, 0, 0.01)
        *_, end = advection_frames(mesh, start, turning(mesh), 0.01, frames=2, interval=1.0, steps=steps)
        exact = mode(mesh.points.T, 1, 0.01)
        errors.append(np.linalg.norm(end - exact) / np.linalg.norm(exact))
    assert np.log2(errors[0] / errors[1]) > 1.9 and np.log2(errors[1] / errors[2]) > 1.9
    assert errors[2] < 1e-3


def test_second_order_in_time():
    mesh = DISK.mesh(0.15, engine="scipy")
    start, psi = mode(mesh.points.T, 0, 0.01), turning(mesh)
    ends = [
        list(advection_frames(mesh, start, psi, 0.01, frames=2, interval=1.0, steps=s))[-1] for s in (5, 10, 20, 40)
    ]
    steps = [np.linalg.norm(a - b) for a, b in zip(ends, ends[1:], strict=False)]
    assert 1.8 < np.log2(steps[1] / steps[2]) < 2.3 and steps[0] > steps[1]


@pytest.mark.parametrize("domain", [DISK, RING])
def test_the_velocity_converges_to_a_rigid_rotation(domain):
    errors = []
    for size in (0.2, 0.1, 0.05):
        mesh = domain.mesh(size, engine="scipy")
        v = velocity_of(mesh, turning(mesh)) - np.stack([-mesh.points[:, 1], mesh.points[:, 0]])
        errors.append(np.sqrt(sum(e @ (mass_matrix(mesh) @ e) for e in v)))
    # first order at curved walls, where the mesh is a polygon; better within
    assert errors[0] > 2.5 * errors[1] > 6 * errors[2]


def test_the_flow_is_tangential_and_loses_nothing():
    mesh = random_vessel(np.random.default_rng(3)).mesh(0.08, engine="scipy")
    grid = skfem_mesh(mesh)
    walls = {name: float(i) for i, name in enumerate(sorted(mesh.facets))}
    psi = stream_function(mesh, lambda x: np.sin(5 * x[0]) * x[1], walls)
    sides = skfem.FacetBasis(grid, skfem.ElementTriP2())
    slope = np.asarray(sides.interpolate(psi).grad)
    normal = np.asarray(sides.normals)
    assert np.abs(slope[1] * normal[0] - slope[0] * normal[1]).max() < 1e-10


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 1000), st.floats(1e-3, 1e-1))
def test_mass_stays_to_rounding_and_the_norm_falls(seed, kappa):
    rng = np.random.default_rng(seed)
    mesh = random_vessel(rng).mesh(0.12, engine="scipy")
    psi = stream_function(
        mesh, lambda x: 20 * np.sin(3 * x[0] + seed) * np.cos(2 * x[1]), dict.fromkeys(mesh.facets, 0.0)
    )
    matrix, start = mass_matrix(mesh), rng.random(mesh.n_points)
    series = np.array(list(advection_frames(mesh, start, psi, kappa, frames=4, interval=0.2)))
    total = (matrix @ series.T).sum(axis=0)
    np.testing.assert_allclose(total, total[0], rtol=1e-12)
    norms = np.einsum("kn,nk->k", series, matrix @ series.T)
    assert (np.diff(norms) < 0).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_vessels_have_one_or_two_holes_away_from_walls(seed):
    domain = random_vessel(np.random.default_rng(seed))
    holes = [n for n in domain.boundary_names if n.startswith("hole")]
    assert len(holes) in (1, 2) and set(domain.boundary_names) == {"wall", *holes}
    (x0, y0), (x1, y1) = domain.bounds
    assert (x0, y0, y1) == (0, 0, 1) and 1.2 <= x1 <= 2
    for hole in holes:
        x = np.asarray(domain.sample_boundary(20, 0, hole).points)
        assert min(x[0].min(), x1 - x[0].max(), x[1].min(), 1 - x[1].max()) > 0.05


SMALL = {"nodes": (150, 250), "frames": 5, "interval": 0.1}


def test_data_are_seeded_and_do_not_depend_on_their_number():
    data, fewer = advection_dataset(3, 2, seed=4, **SMALL), advection_dataset(2, 1, seed=4, **SMALL)
    assert [len(g) for g in data.groups] == [2, 2, 2] and data.fields == ("c", "vx", "vy")
    for i in range(2):
        for name in data.fields:
            np.testing.assert_array_equal(data[2 * i].fields[name], fewer[i].fields[name])
    assert len({g.points.shape for g in data.groups}) == 3
    other = advection_dataset(1, 1, seed=5, **SMALL)
    assert other.groups[0].points.shape != data.groups[0].points.shape
    assert not np.array_equal(data[0].fields["vx"], data[1].fields["vx"])


def test_data_are_on_good_meshes_conserve_mass_and_stay_in_bounds():
    data = advection_dataset(3, 2, nodes=(700, 800), frames=7, interval=0.1)
    for group in data.groups:
        assert 630 < len(group.points) < 880 and (cell_volumes(group.mesh) > 0).all()
        assert set(group.boundaries) == {"wall", "hole"}
        c = group.fields["c"].astype(float)
        total = c @ np.asarray(mass_matrix(group.mesh).sum(axis=0)).ravel()
        np.testing.assert_allclose(total, total[:, :1] * np.ones(7), rtol=3e-7)  # stored in single precision
        assert c.min() > -0.02 * c.max() and (c.max(axis=2) <= 1.01 * c[:, 0].max(axis=1)[:, None]).all()
        assert ((group.attributes["diffusivity"] >= 0.003) & (group.attributes["diffusivity"] <= 0.012)).all()
        for name in ("vx", "vy"):
            v = group.fields[name]
            np.testing.assert_array_equal(v, np.broadcast_to(v[:, :1], v.shape))


def test_bad_input_is_named():
    mesh = DISK.mesh(0.5, engine="scipy")
    psi, c = turning(mesh), np.ones(mesh.n_points)
    with pytest.raises(FieldError, match=rf"{len(c)} finite values \(got an array of shape \(3,\)\)"):
        advection_frames(mesh, np.ones(3), psi, 0.1, frames=2, interval=1)
    with pytest.raises(FieldError, match="finite values"):
        advection_frames(mesh, c * np.nan, psi, 0.1, frames=2, interval=1)
    with pytest.raises(FieldError, match=r"stream function of \d+ finite values \(got shape \(4,\)\)"):
        advection_frames(mesh, c, np.ones(4), 0.1, frames=2, interval=1)
    with pytest.raises(ValueError, match="diffusivity=0"):
        advection_frames(mesh, c, psi, 0, frames=2, interval=1)
    with pytest.raises(ValueError, match=r"boundaries \['wall'\] \(got \['door'\]\)"):
        stream_function(mesh, lambda x: x[0], {"door": 0.0})
    with pytest.raises(ValueError, match="n_meshes=0"):
        advection_dataset(0)
    with pytest.raises(ValueError, match=r"nodes=\(300, 200\)"):
        advection_dataset(1, 1, nodes=(300, 200))
