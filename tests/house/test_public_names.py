"""What users may hold: names that stay where they are. A name leaves this list by a deprecation only."""

from importlib import import_module
from importlib.metadata import entry_points

import pytest

PUBLIC = {
    "meshmove": """Adaptation DMM Failure FieldError InvalidMeshError LoopResult MeshBatch MeshFileError MeshFileWarning
        MeshmoveError MongeAmpere Monitor MonitorError MoverError MovingMesh Neural Outcome Report Smooth
        TangledMeshError UnsupportedMeshError WeightsError adapt adapt_loop adapt_many load save""",
    "meshmove.geometry": """CellBlock CellKind CellMesh Disk Domain Ellipse Facets FieldError
        InvalidMeshError KINDS Location MeshmoveError MonitorError PointLocator Polygon Rectangle
        Sides Slide TangledMeshError Triangle UnsupportedMeshError Validity aspect_ratio cell_volumes
        corner_volumes facets_of inverted_cells kind_of scaled_jacobian""",
    "meshmove.geometry.domains": "Disk Domain DomainError Ellipse Polygon Raster Rectangle Triangle",
    "meshmove.solvers": """Dirichlet HyPINO Interval LinearPDE MMPDE Neumann PROBLEMS Problem ProblemError Robin
        Solution TimeInterval Trajectories TrajectoryDataset interpolation_error_of l2_error project
        ConvergenceError SemilinearPDE solve_finite_elements solve_poisson""",
    "meshmove.solvers.data": "DatasetError Trajectories TrajectoryDataset cached cached_dataset",
    "meshmove.solvers.hypino": "Emitted HyPINO Settings Solution",
    "meshmove.solvers.mmpde": "CONFIGS MMPDE Config Frame Observation Settings Trajectory fit",
    "meshmove.solvers.pde": "Dirichlet Interval LinearPDE MeshDomain Neumann Robin TERMS TimeInterval UnitProblem",
    "meshmove.solvers.projection": "Level Projection Projector Splines Tanh",
    "meshmove.movers": "MongeAmpere Move Mover Problem Smooth",
    "meshmove.monitors": "Monitor Recovery solution_error",
    "meshmove.neural": "DMM MeshBatch Neural Settings WeightsError",
    "meshmove.plugins": "animate plot plot_history plot_solution",
    "meshmove.plugins.pyvista": "PyVistaConverter converter plot",
    "meshmove.plugins.skfem": "SkfemConverter basis_on converter",
    "meshmove.plugins.meshio": "converter",
    "meshmove.plugins.pyg": "converter",
    "meshmove.cli": "main",
}


@pytest.mark.parametrize("module", PUBLIC)
def test_names_that_users_hold_are_there(module):
    missing = [name for name in PUBLIC[module].split() if not hasattr(import_module(module), name)]
    assert not missing


def test_entry_points_load():
    assert {e.name: e.value for e in entry_points(group="meshmove.meshes")} == {
        "skfem": "meshmove.plugins.skfem:converter",
        "dolfinx": "meshmove.plugins.dolfinx:converter",
        "meshio": "meshmove.plugins.meshio:converter",
        "pyvista": "meshmove.plugins.pyvista:converter",
        "torch_geometric": "meshmove.plugins.pyg:converter",
    }
    for entry in (
        *entry_points(group="meshmove.meshes"),
        *entry_points(group="console_scripts").select(name="meshmove"),
    ):
        assert entry.load() is not None


def test_shipped_models_load():
    from meshmove import DMM
    from meshmove.solvers import MMPDE, BurgersStep, HyPINO, WakeStep

    for kind, names in ((DMM, ("dmm-2d", "dmm-3d")), (MMPDE, ("burgers", "burgers-still", "cylinder"))):
        assert all(kind.from_pretrained(name) is not None for name in names)
    for name, step in (("burgers-corrected", BurgersStep()), ("cylinder-corrected", WakeStep())):
        assert MMPDE.from_pretrained(name, base=step) is not None
    assert HyPINO.from_pretrained("hypino-small") is not None
