"""What `adapt` gives back: the moved mesh, the fields on it, and a report."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array
from meshmove.meshes.registry import named
from meshmove.notebook import table
from meshmove.outcomes import Outcome, Told

from .judging.cellwise import CellErrors

__all__ = ["Adaptation", "Report"]


#: letters in a line of the printed report
LINE = 118


@dataclass(frozen=True)
class Report:
    """How a move went; prints as a small table.

    `imbalance_*` is the spread of monitor mass over cells (0: perfect equidistribution), `predicted_error_*` the
    error of the finite elements `predicted_for` that the field's recovered derivatives predict, up to a constant (None
    with a callable monitor, and for elements of which nothing can be predicted). `objective`: "equidistribution", where
    the error is that in L2, or "alignment", where it is the geometric mean of those in L2 and H1.
    `min_volume_ratio` is the smallest corner volume after the move over that before, `max_displacement` the longest
    step of a node in the mesh's unit of length. Of a neural mover `step_cut` is the share of a proposed step that the
    guard let through at worst (1: it never had to shorten one), and `polish` the number of classical steps afterwards;
    None for others. `regions`: the cell data and cell sets whose interfaces were kept. Of Ritz descent, whose objective
    is "energy": the energy on the mesh that came, that on the one that went, and how many times `solve` was called.
    `goal`: the value of the goal on the mesh that came, where there is one. `cast`: from which class of meshes to
    which, where the nodes of the one that came cannot be moved.
    """

    mover: str
    iterations: int
    inverted_cells: int
    imbalance_before: float
    imbalance_after: float
    min_volume_ratio: float
    max_displacement: float
    seconds: float
    monitor: str = ""
    predicted_error_before: float | None = None
    predicted_error_after: float | None = None
    warnings: tuple[str, ...] = ()
    step_cut: float | None = None
    polish: int | None = None
    predicted_for: str = ""
    regions: tuple[str, ...] = ()
    objective: str = "equidistribution"
    energy_before: float | None = None
    energy_after: float | None = None
    solves: int | None = None
    goal: float | None = None
    cast: str = ""

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """What the warnings tell of, by name: see `meshmove.Outcome` for causes and remedies."""
        return tuple(dict.fromkeys(w.outcome for w in self.warnings if isinstance(w, Told)))

    def __str__(self) -> str:
        rows = self.rows()
        width = max(len(name) for name, _ in rows)
        return "\n".join(_row(name, value, width) for name, value in rows)

    def _repr_html_(self) -> str:
        return table(self.rows())

    def rows(self) -> list[tuple[str, str]]:
        """What there is to say, by name."""
        rows = [("mover", f"{self.mover}, {self.iterations} iterations, {self.seconds:.3g} s")]
        if self.energy_before is not None and self.energy_after is not None:
            rows.append(("energy", f"{self.energy_before:.9g} -> {self.energy_after:.9g}, {self.solves} solves"))
        else:
            rows.append(("monitor", self.monitor))
            rows.append(("imbalance", f"{self.imbalance_before:.3g} -> {self.imbalance_after:.3g}"))
        if self.predicted_error_before is not None and self.predicted_error_after is not None:
            before, after = self.predicted_error_before, self.predicted_error_after
            gain = f" ({before / after:.3g} times less)" if 0 < after < before else ""
            of = f" of {self.predicted_for}" if self.predicted_for else ""
            rows.append(("objective", self.objective))
            rows.append(("predicted error", f"{before:.3g} -> {after:.3g}{gain}{of}"))
        if self.goal is not None:
            rows.append(("goal before the move", f"{self.goal:.9g}"))
        rows += [
            ("inverted cells", str(self.inverted_cells)),
            ("smallest volume ratio", f"{self.min_volume_ratio:.3g}"),
            ("largest displacement", f"{self.max_displacement:.3g}"),
        ]
        if self.step_cut is not None:
            rows.append(
                ("guard", "no step was cut" if self.step_cut == 1 else f"steps cut to {self.step_cut:.3g} at worst")
            )
        if self.cast:
            rows.append(("cast", f"{self.cast}, whose nodes can be moved"))
        if self.polish is not None:
            rows.append(("classical polish", f"{self.polish} steps" if self.polish else "none"))
        if self.regions:
            rows.append(("regions", f"kept apart by {', '.join(self.regions)}"))
        return rows + [("warning", w) for w in self.warnings]


def _row(name: str, value: str, width: int) -> str:
    """A row of the table; what is too long for it goes on below, in the column of values."""
    lines = textwrap.wrap(value, LINE - width, break_long_words=False, break_on_hyphens=False) or [""]
    return f"{name:<{width}}  " + ("\n" + " " * (width + 2)).join(lines)


@dataclass(frozen=True, eq=False)
class Adaptation:
    """The result of `meshmove.adapt`.

    Attributes
    ----------
    mesh
        The moved mesh: class, topology, tags and sets of the input; floating-point point data carried along unless
        ``transfer=None``.
    original
        The input mesh, untouched.
    displacement
        (n_nodes, dim): what was added to the input's node positions.
    fields
        Nodal fields on the moved mesh by name (the field given as an array is called "field"). One given as a pair
        (basis, dofs) of scikit-fem is the dofs for ``skfem.Basis(out.mesh, basis.elem)``.
    report
        How it went.
    monitor
        Monitor values at the input's vertices (n_vertices,), scaled to mean one.
    cells, moved
        The input and the moved mesh as plain arrays.
    balance
        By what share (n_cells,) each moved cell has more of the monitor than is due to it.
    moved_for
        The field as it was on the mesh that came: its `name`, its `values` (n_vertices, k), and ``at(points)``, the
        error that is predicted on each cell (n_cells,) with vertices at `points`. None where there was a monitor
        alone.
    """

    mesh: Any
    original: Any
    displacement: Array
    fields: Mapping[str, NDArray]
    report: Report
    monitor: Array
    cells: CellMesh = field(repr=False)
    moved: CellMesh = field(repr=False)
    _transfer: Callable[[Any], NDArray] = field(repr=False)
    balance: Array | None = field(default=None, repr=False)
    moved_for: CellErrors | None = field(default=None, repr=False)

    def transfer(self, values: Any) -> NDArray:
        """Another field of the input mesh, carried to the moved mesh.

        A nodal array (n_nodes,) or (n_nodes, k) comes back as one. For scikit-fem a pair (basis, dofs) of any element
        comes back as the dofs for ``skfem.Basis(out.mesh, basis.elem)``.
        """
        return self._transfer(values)

    @property
    def grid(self) -> Any:
        """The moved mesh as a `pyvista.UnstructuredGrid` of its vertices and linear cells, with what is known of it.

        Point data: the fields and the `displacement`. Cell data: `quality` (the scaled Jacobian, 1 at best),
        `imbalance` (by what share a cell has more of the monitor than is due to it) and, for linear elements of a
        field, `error` (the L2 error of interpolation that is predicted on the cell; of several fields together,
        relative to theirs on the mesh that came). A plane mesh in space lies where it is.

        Raises
        ------
        MissingPackageError
            PyVista is not installed.

        Examples
        --------
        >>> import meshmove, skfem
        >>> mesh = skfem.MeshTri().refined(2)
        >>> sorted(meshmove.adapt(mesh, mesh.p[0] ** 4).grid.cell_data)
        ['error', 'imbalance', 'quality']
        """
        pictures: Any = named("pyvista")
        return pictures.grid_of(self)

    def plot(self, kind: str | None = None, **options: Any) -> Any:
        """Draw the mesh before and after: `kind` is "field", "mesh", "error", "quality" or "displacement".

        By default the field, or the mesh where there is none. `options`: those of `meshmove.plugins.plot`, such as
        ``filename="moved.svg"``.
        """
        pictures: Any = named("pyvista")
        return pictures.plotted(self, kind, options)

    def view(self, filename: Any = None, **options: Any) -> Any:
        """A window, in notebooks a part of the page, with a slider from the mesh before to that after.

        `options`: those of `meshmove.plugins.view`. With a `filename`, "moved.html", it is written as a page.
        """
        pictures: Any = named("pyvista")
        return pictures.viewed(self, filename, options)

    def _repr_html_(self) -> str:
        return table(self.report.rows(), caption=f"{type(self.mesh).__name__} with {self.cells.n_nodes:,} nodes, moved")

    def __repr__(self) -> str:
        kind = type(self.mesh).__name__
        r = self.report
        change = f"imbalance {r.imbalance_before:.3g} -> {r.imbalance_after:.3g}"
        return f"<Adaptation of a {kind} with {self.cells.n_nodes} nodes by {r.mover}: {change}, 0 inverted cells>"
