"""Frames of an XDMF series that point to meshes which other grids hold, as DOLFINx and meshio write them."""

import numpy as np
import pytest

from meshmove import MeshFileError
from meshmove.meshes.series.files import read_series

POINTS = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0.5]])


def written(path, pointer, frames=3, meshes=3, inside=False):
    """A file of frames that point to meshes `mesh_k`, whose last node stands elsewhere in each."""
    held, moments = "", ""
    for k in range(meshes):
        points = POINTS.copy()
        points[4, 0] += 0.1 * k
        held += f"""<Grid Name="mesh_{k}" GridType="Uniform"><Topology TopologyType="Triangle" NumberOfElements="4">
<DataItem Dimensions="4 3" DataType="Int" Format="XML">0 1 4 1 2 4 2 3 4 3 0 4</DataItem></Topology>
<Geometry GeometryType="XY"><DataItem Dimensions="5 2" DataType="Float" Precision="8" Format="XML">
{" ".join(map(str, points.ravel()))}</DataItem></Geometry></Grid>"""
    for k in range(frames):
        moments += f"""<Grid Name="u" GridType="Uniform"><xi:include xpointer="{pointer.format(k=k, one=k + 1)}" />
<Time Value="{k}" /><Attribute Name="u" AttributeType="Scalar" Center="Node">
<DataItem Dimensions="5 1" DataType="Float" Precision="8" Format="XML">0 1 1 0 {0.5 + 0.1 * k}</DataItem>
</Attribute></Grid>"""
    series = f'<Grid Name="u" GridType="Collection" CollectionType="Temporal">{moments}</Grid>'
    path.write_text(
        '<Xdmf Version="3.0" xmlns:xi="https://www.w3.org/2001/XInclude"><Domain>' + held + series + "</Domain></Xdmf>"
    )
    return path


PARTS = "/*[self::Topology or self::Geometry]"


@pytest.mark.parametrize(
    "pointer",
    [
        "xpointer(/Xdmf/Domain/Grid[@Name='mesh_{k}'][1]" + PARTS + ")",
        "xpointer(//Grid[@Name='mesh_{k}']" + PARTS + ")",
        "xpointer(//Grid[@GridType='Uniform'][{one}]" + PARTS + ")",
    ],
)
def test_each_frame_has_the_mesh_that_it_points_to(tmp_path, pointer):
    moments = list(read_series(written(tmp_path / "film.xdmf", pointer)))
    assert [m.time for m in moments] == [0, 1, 2]
    for moment in moments:
        assert np.allclose(moment.mesh.points[:, 0], moment.mesh.point_data["u"].ravel())


def test_all_frames_on_the_one_mesh_of_a_file(tmp_path):
    pointer = "xpointer(//Grid[@Name=&quot;mesh_0&quot;]" + PARTS + ")"
    for moment in read_series(written(tmp_path / "film.xdmf", pointer, meshes=1)):
        assert np.allclose(moment.mesh.points[4], 0.5)


def test_a_mesh_that_is_not_there_is_named(tmp_path):
    path = written(tmp_path / "film.xdmf", "xpointer(//Grid[@Name='other']" + PARTS + ")")
    with pytest.raises(MeshFileError, match="other"):
        list(read_series(path))
