"""Small files as other programs write them: two cells of two kinds of material, where the format has a word for that.

Each case: the file's name, its text, the numbers of nodes and cells, how many regions, and the names of boundaries.
"""

# ruff: noqa: E501
from __future__ import annotations

from typing import NamedTuple


class Case(NamedTuple):
    name: str
    text: str
    nodes: int = 4
    cells: int = 2
    regions: int = 1
    facets: tuple[str, ...] = ()


class Refused(NamedTuple):
    name: str
    text: str
    words: str


_POINTS = "0 0 0\n1 0 0\n1 1 0\n0 1 0\n"
_GMSH_NODES = "$Nodes\n4\n1 0 0 0\n2 1 0 0\n3 1 1 0\n4 0 1 0\n$EndNodes\n"
_VTK_CELLS = "CELLS 2 8\n3 0 1 2\n3 0 2 3\nCELL_TYPES 2\n5\n5\n"
_VTK_HEAD = "# vtk DataFile Version 3.0\nby hand\nASCII\nDATASET UNSTRUCTURED_GRID\nPOINTS 4 double\n" + _POINTS

READ = [
    Case(
        "names.msh",
        '$MeshFormat\n2.2 0 8\n$EndMeshFormat\n$PhysicalNames\n3\n1 5 "inlet"\n2 7 "iron"\n2 9 "air"\n'
        "$EndPhysicalNames\n"
        + _GMSH_NODES
        + "$Elements\n3\n1 1 2 5 1 1 2\n2 2 2 7 1 1 2 3\n3 2 2 9 2 1 3 4\n$EndElements\n",
        regions=2,
        facets=("inlet",),
    ),
    Case(
        "entities.msh",
        "$MeshFormat\n2.2 0 8\n$EndMeshFormat\n"
        + _GMSH_NODES
        + "$Elements\n2\n1 2 2 0 1 1 2 3\n2 2 2 0 2 1 3 4\n$EndElements\n",
        regions=2,
    ),
    Case(
        "newer.msh",
        "$MeshFormat\n4.1 0 8\n$EndMeshFormat\n$Entities\n0 0 2 0\n1 0 0 0 1 1 0 0 0\n2 0 0 0 1 1 0 0 0\n$EndEntities\n"
        "$Nodes\n1 4 1 4\n2 1 0 4\n1\n2\n3\n4\n" + _POINTS + "$EndNodes\n"
        "$Elements\n2 2 1 2\n2 1 2 1\n1 1 2 3\n2 2 2 1\n2 1 3 4\n$EndElements\n",
        regions=2,
    ),
    Case(
        "medit.mesh",
        "MeshVersionFormatted 2\r\n# made elsewhere\r\nDimension 2\r\n\r\nVertices\r\n4\r\n0 0 0\r\n1 0 0\r\n1 1 0\r\n0 1 0\r\n"
        "Edges\r\n1\r\n1 2 6\r\nTriangles\r\n2\r\n1 2 3 1\r\n1 3 4 2\r\nEnd\r\n",
        regions=2,
        facets=("6",),
    ),
    Case(
        "markers.su2",
        "NDIME= 2\nNELEM= 2\n5 0 1 2 0\n5 0 2 3 1\nNPOIN= 4\n0 0 0\n1 0 1\n1 1 2\n0 1 3\nNMARK= 2\nMARKER_TAG= far\n"
        "MARKER_ELEMS= 1\n3 0 1\nMARKER_TAG= wall\nMARKER_ELEMS= 1\n3 1 2\n",
        facets=("far", "wall"),
    ),
    Case(
        "shells.bdf",
        "$ by hand\nBEGIN BULK\nGRID    1               0.0     0.0     0.0\nGRID    2               1.0     0.0     0.0\n"
        "GRID    3               1.0     1.0     0.0\nGRID    4               0.0     1.0     0.0\n"
        "CTRIA3  1       1       1       2       3\nCTRIA3  2       2       1       3       4\nENDDATA\n",
        regions=2,
    ),
    Case(
        "parts.inp",
        "*HEADING\n by hand\n*NODE\n1, 0., 0., 0.\n2, 1., 0., 0.\n3, 1., 1., 0.\n4, 0., 1., 0.\n"
        "*ELEMENT, TYPE=S3, ELSET=IRON\n1, 1, 2, 3\n*ELEMENT, TYPE=S3, ELSET=AIR\n2, 1, 3, 4\n",
        regions=2,
    ),
    Case("notes.off", "OFF\n# by hand\n\n4 2 0\n" + _POINTS + "3 0 1 2\n3 0 2 3\n"),
    Case("faces.obj", "# by hand\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1 2 3\nf 1 3 4\n"),
    Case(
        "facets.stl",
        "solid by hand\n"
        + "".join(
            "facet normal 0 0 1\nouter loop\n" + "".join(f"vertex {p}\n" for p in loop) + "endloop\nendfacet\n"
            for loop in (("0 0 0", "1 0 0", "1 1 0"), ("0 0 0", "1 1 0", "0 1 0"))
        )
        + "endsolid by hand\n",
    ),
    Case(
        "faces.ply",
        "ply\nformat ascii 1.0\ncomment by hand\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\n"
        "element face 2\nproperty list uchar int vertex_indices\nend_header\n" + _POINTS + "3 0 1 2\n3 0 2 3\n",
    ),
    Case(
        "floats.vtk",
        _VTK_HEAD + _VTK_CELLS + "CELL_DATA 2\nSCALARS Material float 1\nLOOKUP_TABLE default\n1.0\n2.0\n",
        regions=2,
    ),
    Case("bare.vtk", _VTK_HEAD + _VTK_CELLS),
    Case(
        "surface.vtk",
        "# vtk DataFile Version 3.0\nby hand\nASCII\nDATASET POLYDATA\nPOINTS 4 float\n"
        + _POINTS
        + "POLYGONS 2 8\n3 0 1 2\n3 0 2 3\nCELL_DATA 2\nSCALARS part int 1\nLOOKUP_TABLE default\n4\n5\n",
        regions=2,
    ),
    Case(
        "text.vtu",
        '<?xml version="1.0"?><VTKFile type="UnstructuredGrid" version="0.1" byte_order="LittleEndian"><UnstructuredGrid>'
        '<Piece NumberOfPoints="4" NumberOfCells="2"><Points><DataArray type="Float64" NumberOfComponents="3" '
        f'format="ascii">{_POINTS}</DataArray></Points><Cells><DataArray type="Int32" Name="connectivity" format="ascii">'
        '0 1 2 0 2 3</DataArray><DataArray type="Int32" Name="offsets" format="ascii">3 6</DataArray><DataArray '
        'type="UInt8" Name="types" format="ascii">5 5</DataArray></Cells><CellData><DataArray type="Int32" '
        'Name="MaterialIDs" format="ascii">0 1</DataArray></CellData></Piece></UnstructuredGrid></VTKFile>\n',
        regions=2,
    ),
    Case(
        "surface.vtp",
        '<?xml version="1.0"?><VTKFile type="PolyData" version="0.1" byte_order="LittleEndian"><PolyData>'
        '<Piece NumberOfPoints="4" NumberOfPolys="2"><Points><DataArray type="Float64" NumberOfComponents="3" '
        f'format="ascii">{_POINTS}</DataArray></Points><Polys><DataArray type="Int32" Name="connectivity" format="ascii">'
        '0 1 2 0 2 3</DataArray><DataArray type="Int32" Name="offsets" format="ascii">3 6</DataArray></Polys>'
        "</Piece></PolyData></VTKFile>\n",
    ),
    Case(
        "inline.xdmf",
        '<?xml version="1.0"?><Xdmf Version="3.0"><Domain><Grid Name="mesh" GridType="Uniform"><Topology '
        'NumberOfElements="2" TopologyType="Triangle"><DataItem Dimensions="2 3" NumberType="Int" Format="XML">0 1 2 0 2 3'
        '</DataItem></Topology><Geometry GeometryType="XYZ"><DataItem Dimensions="4 3" Format="XML">'
        f'{_POINTS}</DataItem></Geometry><Attribute Name="name_to_read" AttributeType="Scalar" Center="Cell"><DataItem '
        'Dimensions="2 1" NumberType="Int" Format="XML">1 1</DataItem></Attribute></Grid></Domain></Xdmf>\n',
    ),
    Case(
        "legacy.xml",
        '<?xml version="1.0"?>\n<dolfin xmlns:dolfin="http://fenicsproject.org">\n<mesh celltype="triangle" dim="2">\n'
        '<vertices size="4">\n<vertex index="0" x="0" y="0" />\n<vertex index="1" x="1" y="0" />\n'
        '<vertex index="2" x="1" y="1" />\n<vertex index="3" x="0" y="1" />\n</vertices>\n<cells size="2">\n'
        '<triangle index="0" v0="0" v1="1" v2="2" />\n<triangle index="1" v0="0" v1="2" v2="3" />\n</cells>\n'
        "</mesh>\n</dolfin>\n",
    ),
    Case(
        "ucd.avs",
        "4 2 0 0 0\n1 0 0 0\n2 1 0 0\n3 1 1 0\n4 0 1 0\n1 3 tri 1 2 3\n2 4 tri 1 3 4\n",
        regions=2,
    ),
    Case(
        "zone.dat",
        'TITLE = "by hand"\nVARIABLES = "X", "Y", "u"\nZONE T="a", N=4, E=2, F=FEPOINT, ET=TRIANGLE\n'
        "0 0 1\n1 0 2\n1 1 3\n0 1 4\n1 2 3\n1 3 4\n",
    ),
]

REFUSED = [
    Refused("pointer.vtu", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "git lfs pull"),
    Refused("page.msh", "<!DOCTYPE html>\n<html><head><title>raw</title></head></html>\n", "web page"),
    Refused("old.msh", "$NOD\n1\n1 0 0 0\n$ENDNOD\n$ELM\n0\n$ENDELM\n", "version 1.*gmsh IN -save"),
    Refused("zones.su2", "NZONE= 2\nIZONE= 1\nNDIME= 2\nNELEM= 1\n5 0 1 2\nIZONE= 2\nNDIME= 2\n", "several zones"),
    Refused("packed.vtk", "\x1f\x8b\x08", "gunzip"),
    Refused("archive.obj", "PK\x03\x04", "unzip"),
    Refused("empty.mesh", "", "empty"),
]
