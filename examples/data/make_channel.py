r"""Writes channel.msh: the channel of the cylinder benchmark, with named boundaries. Needs gmsh.

The channel 2.2 x 0.41 with a cylinder of diameter 0.1 at (0.2, 0.2) is that of Schaefer & Turek (Benchmark
computations of laminar flow around a cylinder, 1996). Cells are 0.006 wide on the cylinder, 0.024 far from it.

    python make_channel.py [--out channel.msh] [--scale 1.0]

A smaller scale makes a finer mesh of the same channel: 0.25 is that of the reference value in cylinder_channel.py.
"""

from pathlib import Path

import gmsh
import typer

LENGTH, HEIGHT = 2.2, 0.41
CENTRE, RADIUS = (0.2, 0.2), 0.05


def main(out: Path = Path(__file__).parent / "channel.msh", scale: float = 1.0) -> None:
    gmsh.initialize()
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        occ, model = gmsh.model.occ, gmsh.model
        channel = occ.addRectangle(0, 0, 0, LENGTH, HEIGHT)
        cylinder = occ.addDisk(*CENTRE, 0, RADIUS, RADIUS)
        occ.cut([(2, channel)], [(2, cylinder)])
        occ.synchronize()

        groups = {"inlet": [], "outlet": [], "walls": [], "cylinder": []}
        for _, curve in model.getEntities(1):
            x, y, _ = occ.getCenterOfMass(1, curve)
            if 0 < x < LENGTH and 0 < y < HEIGHT - 1e-6 and abs(x - CENTRE[0]) < RADIUS:
                groups["cylinder"].append(curve)
            elif x < 1e-6 or x > LENGTH - 1e-6:
                groups["inlet" if x < 1e-6 else "outlet"].append(curve)
            else:
                groups["walls"].append(curve)
        for name, curves in groups.items():
            model.addPhysicalGroup(1, curves, name=name)
        model.addPhysicalGroup(2, [surface for _, surface in model.getEntities(2)], name="fluid")

        field = model.mesh.field
        distance, size = field.add("Distance"), field.add("Threshold")
        field.setNumbers(distance, "CurvesList", groups["cylinder"])
        field.setNumber(distance, "Sampling", 400)
        limits = {"SizeMin": 0.006 * scale, "SizeMax": 0.024 * scale, "DistMin": 0.0, "DistMax": 0.25}
        for name, value in {"InField": distance, **limits}.items():
            field.setNumber(size, name, value)
        field.setAsBackgroundMesh(size)
        for name in ("FromPoints", "FromCurvature", "ExtendFromBoundary"):
            gmsh.option.setNumber(f"Mesh.MeshSize{name}", 0)
        model.mesh.generate(2)
        gmsh.write(str(out))
    finally:
        gmsh.finalize()


if __name__ == "__main__":
    typer.run(main)
