"""Flattening planes: exact for coordinate planes, isometric for others, the same frame for the same plane."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshmove.geometry.errors import UnsupportedMeshError
from meshmove.geometry.plane import flatten


def random_plane(seed: int, n: int = 30) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(3, 3)))[0][:2]
    inside = rng.uniform(-1, 1, (n, 2))
    return inside @ axes + rng.normal(size=3), inside, axes


@pytest.mark.parametrize(("constant", "columns"), [(0, (1, 2)), (1, (0, 2)), (2, (0, 1))])
def test_coordinate_planes_are_selected_columns_to_the_bit(constant, columns):
    points = np.random.default_rng(0).normal(size=(20, 3))
    points[:, constant] = 3.7
    flat, frame = flatten(points)
    assert np.array_equal(flat, points[:, columns])
    raised = frame.raise_(flat)
    assert np.array_equal(raised[:, columns], flat)
    assert not raised[:, constant].any()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_oblique_planes_are_flattened_isometrically(seed):
    points, inside, _ = random_plane(seed)
    flat, frame = flatten(points)
    distances = [np.linalg.norm(p[:, None] - p[None], axis=2) for p in (inside, flat)]
    np.testing.assert_allclose(*distances, atol=1e-12)
    np.testing.assert_allclose(frame.raise_(flat - flat[0]), points - points[0], atol=1e-12)
    assert not frame.raise_(np.zeros((5, 2))).any()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_the_frame_depends_on_the_plane_alone(seed):
    points, inside, axes = random_plane(seed)
    other = (points[0] - inside[0] @ axes) + np.random.default_rng(seed + 1).uniform(-2, 2, (50, 2)) @ axes
    np.testing.assert_allclose(flatten(points)[1].axes, flatten(other)[1].axes, atol=1e-10)


@pytest.mark.parametrize("normal", [(1, 1, 0), (1, -1, 0), (0, 1, 1), (1, 0, -1), (1, 1, 1), (1, -1, 1)])
def test_frames_of_symmetric_planes_do_not_hang_on_rounding(normal):
    n = np.array(normal, float)
    rng = np.random.default_rng(3)
    frames = []
    for _ in range(20):
        points = rng.normal(size=(15, 3))
        frames.append(flatten(points - (points @ n)[:, None] * n / (n @ n))[1].axes)
    np.testing.assert_allclose(frames, np.broadcast_to(frames[0], np.shape(frames)), atol=1e-12)


def test_planes_stored_in_float32_and_far_away_are_planes():
    points, _, _ = random_plane(1)
    assert flatten(points.astype(np.float32))[0].shape == (30, 2)
    assert flatten((points + 1000).astype(np.float32))[0].shape == (30, 2)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_a_surface_is_refused_at_every_scale(scale):
    x, y = np.random.default_rng(0).normal(size=(2, 40))
    with pytest.raises(UnsupportedMeshError, match=r"surface in 3-D: nodes lie up to .* off the best plane"):
        flatten(scale * np.column_stack([x, y, 0.1 * x * y]))
