"""``grid.meshmove``: the accessor on PyVista's data sets, loaded by PyVista through its entry-point group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyvista

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MeshmoveAccessor"]


@pyvista.register_dataset_accessor("meshmove", pyvista.UnstructuredGrid)
@pyvista.register_dataset_accessor("meshmove", pyvista.PolyData)
class MeshmoveAccessor:
    """Moves the nodes of the data set that it hangs on.

    Examples
    --------
    >>> grid = pyvista.Plane(i_resolution=2, j_resolution=2).cast_to_unstructured_grid()
    >>> grid.meshmove
    <meshmove accessor of UnstructuredGrid: adapt(field, **options), plot(field, **options)>
    """

    def __init__(self, mesh: pyvista.DataSet) -> None:
        self._mesh = mesh

    def adapt(self, field: Any = None, **options: Any) -> pyvista.DataSet:
        """The data set with its nodes moved; `field` and `options` are those of `meshmove.adapt`.

        Returns
        -------
        A new data set of the same class. Call ``meshmove.adapt(grid, ...)`` for the report and the displacement.
        """
        import meshmove

        return meshmove.adapt(self._mesh, field, **options).mesh

    def plot(self, field: Any = None, *, filename: str | Path | None = None, show: bool = True, **options: Any) -> Any:
        """Adapt, and show the mesh before and after (see `meshmove.plugins.pyvista.plot`)."""
        import meshmove

        from .pictures.meshes import plot

        return plot(meshmove.adapt(self._mesh, field, **options), filename=filename, show=show)

    def __repr__(self) -> str:
        return f"<meshmove accessor of {type(self._mesh).__name__}: adapt(field, **options), plot(field, **options)>"
