"""``grid.meshmove``: the accessor on PyVista's data sets, loaded by PyVista through its entry-point group."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyvista

if TYPE_CHECKING:
    from pathlib import Path

    from meshmove import Adaptation

__all__ = ["MeshmoveAccessor"]


@pyvista.register_dataset_accessor("meshmove", pyvista.UnstructuredGrid)
@pyvista.register_dataset_accessor("meshmove", pyvista.PolyData)
@pyvista.register_dataset_accessor("meshmove", pyvista.StructuredGrid)
@pyvista.register_dataset_accessor("meshmove", pyvista.RectilinearGrid)
@pyvista.register_dataset_accessor("meshmove", pyvista.ImageData)
class MeshmoveAccessor:
    """Moves the nodes of the data set that it hangs on.

    The field is the name of point or cell data, or whatever else `meshmove.adapt` takes; by default the active scalars.
    Structured grids, whose nodes have no positions of their own, come back as `pyvista.UnstructuredGrid`.

    Examples
    --------
    >>> grid = pyvista.ImageData(dimensions=(9, 9, 1))
    >>> grid["u"] = grid.points[:, 0] ** 4
    >>> type(grid.meshmove.adapt()).__name__
    'UnstructuredGrid'
    """

    def __init__(self, mesh: pyvista.DataSet) -> None:
        self._mesh = mesh

    def adapt(self, field: Any = None, **options: Any) -> pyvista.DataSet:
        """The data set with its nodes moved; `field` and `options` are those of `meshmove.adapt`.

        Returns
        -------
        A new data set, with the field as point data. Call ``meshmove.adapt(grid, ...)`` for the report and the
        displacement, or `moved`.
        """
        out = self.moved(field, **options)
        own = out.moved_for
        if own is None or own.name in self._mesh.point_data or own.name not in self._mesh.cell_data:
            return out.mesh
        mesh = out.mesh.copy(deep=True)  # values of cells are those of where the cells were
        del mesh.cell_data[own.name]
        mesh.point_data[own.name] = out.fields[own.name]
        mesh.set_active_scalars(own.name, preference="point")
        return mesh

    def moved(self, field: Any = None, **options: Any) -> Adaptation:
        """What `meshmove.adapt` gives, with the active scalars as the field by default."""
        import meshmove

        if field is None and not callable(options.get("monitor")):
            field = self._active()
        return meshmove.adapt(self._mesh, field, **options)

    def plot(self, field: Any = None, **options: Any) -> Any:
        """Adapt, and draw the mesh before and after; options: of `meshmove.adapt` and of `meshmove.plugins.plot`.

        Raises
        ------
        ValueError
            An option of neither.
        """
        from .pictures.meshes import plot

        how, look = _parted(options, list(inspect.signature(plot).parameters)[1:])
        out = self.moved(field, **how)
        return out.plot(look.pop("kind", None), **look)

    def view(self, field: Any = None, *, filename: str | Path | None = None, **options: Any) -> Any:
        """Adapt, and go from the mesh before to that after by a slider; see `meshmove.Adaptation.view`."""
        from .pictures.slider import OPTIONS

        how, look = _parted(options, OPTIONS)
        return self.moved(field, **how).view(filename, **look)

    def _active(self) -> str:
        """The name of the active scalars, which must be real numbers that are not whole.

        Raises
        ------
        FieldError
            There are none.
        """
        from meshmove.geometry.errors import FieldError

        name = self._mesh.active_scalars_name
        scalars = None if name is None else self._mesh.active_scalars
        if name is None or scalars is None or scalars.dtype.kind != "f":
            offered = [*self._mesh.point_data.keys(), *(f"{k} (on cells)" for k in self._mesh.cell_data.keys())]
            raise FieldError(
                "Expected a field, or active scalars that are floating-point numbers "
                f"(got {'none' if name is None else repr(name)}; the data set has: {', '.join(offered) or 'none'})"
            )
        return str(name)

    def __repr__(self) -> str:
        kind = type(self._mesh).__name__
        cast = "" if isinstance(self._mesh, pyvista.UnstructuredGrid | pyvista.PolyData) else ", as UnstructuredGrid"
        return f"<meshmove accessor of {kind}{cast}: adapt(field, **options), plot(field, **options), view(field)>"


def _parted(options: Mapping[str, Any], looks: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of `adapt`, and those of a picture, which are called so."""
    import meshmove
    from meshmove.options import check_names

    moves = list(inspect.signature(meshmove.adapt).parameters)[2:]
    check_names(options, [*moves, *looks], "adapt and of the picture")
    how = {k: v for k, v in options.items() if k in moves}
    return how, {k: v for k, v in options.items() if k not in how}
