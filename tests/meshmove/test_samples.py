"""Meshes to try things on: valid, named, and worth moving."""

import numpy as np
import pytest

import meshmove
from meshmove.geometry import cell_volumes
from meshmove.meshes.registry import converter_for

SAMPLES = {
    "channel": ("temperature", {"cylinder", "inlet", "outlet", "wall"}),
    "wing": ("speed", {"far", "wing"}),
    "bracket": ("stress", {"clamp", "load"}),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_has_names_and_a_field_and_gains_by_a_move(name):
    mesh = getattr(meshmove.samples, name)()
    field, sides = SAMPLES[name]
    cells = converter_for(mesh).read(mesh)
    assert set(cells.facets) >= sides and set(mesh.point_data) == {field}
    assert np.all(np.abs(cell_volumes(cells)) > 0)
    report = meshmove.adapt(mesh, field, effort=0.2).report
    assert report.inverted_cells == 0 and report.predicted_error_after < 0.6 * report.predicted_error_before


def test_sides_of_the_bracket_are_where_they_are_said_to_be():
    mesh = meshmove.samples.bracket()
    assert len(mesh.cell_sets.pop("steel")[0]) == len(mesh.cells[0].data)
    quads = mesh.points[mesh.cells[1].data]
    ends = {name: quads[ids[1]] for name, ids in mesh.cell_sets.items()}
    assert np.all(ends["clamp"][..., 1] == 1) and np.all(ends["load"][..., 0] == 1)
    assert len(ends["clamp"]) == len(ends["load"]) == 64


def test_what_there_is_to_complete_is_what_there_is_to_use():
    assert dir(meshmove.samples) == ["bracket", "channel", "wing"]


def test_samples_are_the_same_every_time_and_the_size_counts():
    one, two, finer = meshmove.samples.wing(), meshmove.samples.wing(), meshmove.samples.wing(0.03)
    assert np.array_equal(one.points, two.points) and len(finer.points) > 1.5 * len(one.points)
