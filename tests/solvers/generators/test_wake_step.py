"""A step of the wake on coarse cells: where the mesh's nodes are, what is gone on with, what is refused."""

import numpy as np
import pytest

from meshmove.geometry import CellMesh, FieldError
from meshmove.solvers import WakeStep
from meshmove.solvers.fem.flow import FlowError
from meshmove.solvers.generators.wake import wake_flow

RE = {"reynolds": 120.0}


@pytest.fixture(scope="module")
def step():
    return WakeStep(1.2, 0.02, sides=12)


def start_of(step):
    """A stream that sticks to the cylinder, with a swirl behind it."""
    flow = wake_flow(step.grid, 120.0, 0.02)
    flow.step(20)
    return {"vorticity": flow.vorticity(), "u": flow.velocity[0], "v": flow.velocity[1]}, flow


def off(a, b):
    return max(np.abs(a[k] - b[k]).max() for k in ("vorticity", "u", "v"))


def test_its_mesh_has_the_unknowns_of_the_flow_as_nodes(step):
    start, flow = start_of(step)
    assert isinstance(step.mesh, CellMesh) and np.allclose(step.mesh.points, flow.points.T, atol=1e-12)
    after = step(step.mesh, start, 0.1, RE)
    assert {k: v.shape for k, v in after.items()} == dict.fromkeys(("vorticity", "u", "v"), (len(flow.points.T),))
    inlet = step.mesh.facets["inlet"]
    assert (after["u"][inlet] == 1).all() and (after["v"][inlet] == 0).all()


def test_a_step_that_begins_where_the_last_has_ended_goes_on_to_the_bit(step):
    start, _ = start_of(step)
    once = step(step.mesh, start, 0.1, RE)
    twice = step(step.mesh, once, 0.1, RE)
    running = wake_flow(step.grid, 120.0, 0.02)
    running.restart(np.stack([start["u"], start["v"]]))
    running.step(10)
    assert np.array_equal(twice["u"], running.velocity[0]) and np.array_equal(twice["vorticity"], running.vorticity())
    # from elsewhere, and from there again: what was is forgotten
    step(step.mesh, start, 0.1, {"reynolds": 150.0})
    assert off(step(step.mesh, start, 0.1, RE), once) == 0


def test_a_step_from_velocities_alone_is_nearly_that_of_a_flow_that_knows_its_pressure(step):
    start, flow = start_of(step)
    found = step(step.mesh, start, 0.2, RE)
    flow.step(10)
    change = np.abs(flow.velocity[0] - start["u"]).max()
    assert np.abs(found["u"] - flow.velocity[0]).max() < 0.1 * change


def test_other_meshes_fields_and_attributes_are_refused(step):
    start, _ = start_of(step)
    with pytest.raises(FieldError, match=r"WakeStep.mesh \(got another, of"):
        step(WakeStep(1.4, 0.02, sides=12).mesh, start, 0.1, RE)
    with pytest.raises(FieldError, match="fields .* and an attribute 'reynolds'"):
        step(step.mesh, {"u": start["u"]}, 0.1, RE)
    with pytest.raises(FieldError, match="attribute 'reynolds'"):
        step(step.mesh, start, 0.1, {})
    n = step.mesh.n_points
    with pytest.raises(FieldError, match=rf"finite values of 'u' at {n} nodes \(got shape \({n - 1},\)"):
        step(step.mesh, start | {"u": start["u"][:-1]}, 0.1, RE)
    with pytest.raises(FieldError, match=rf"'vorticity' at {n} nodes .*, 1 not finite"):
        step(step.mesh, start | {"vorticity": np.where(np.arange(n) == 3, np.nan, start["vorticity"])}, 0.1, RE)


def test_what_is_given_back_is_the_callers_and_a_step_that_failed_is_forgotten(step):
    start, _ = start_of(step)
    once = step(step.mesh, start, 0.1, RE)
    good = {name: values.copy() for name, values in once.items()}
    wanted = step(step.mesh, good, 0.1, RE)
    half = step(step.mesh, {name: 0.5 * values for name, values in good.items()}, 0.1, RE)
    step(step.mesh, start, 0.1, RE)["u"] *= 0.5  # changes nothing in the step
    assert off(step(step.mesh, good, 0.1, RE), half) > 0.01
    with pytest.raises(FlowError):
        step(step.mesh, good | {"u": np.full(len(good["u"]), 1e8)}, 0.1, RE)
    assert off(step(step.mesh, good, 0.1, RE), wanted) < 0.1
