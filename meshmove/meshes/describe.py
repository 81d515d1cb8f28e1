"""What `meshmove info` says of a mesh: counts, names, data, quality, and whether it is fit to be moved."""

from __future__ import annotations

from typing import Any

import numpy as np

from meshmove.geometry import CellMesh, MeshmoveError, aspect_ratio, facets_of, scaled_jacobian
from meshmove.geometry.checks import check_cells, check_facets
from meshmove.geometry.validity import POSITIVE, Validity

from .regions import BLOCKS, means_regions, verdicts
from .source import Source

__all__ = ["describe"]

Rows = list[tuple[str, str]]


def describe(source: Source) -> Rows:
    """Rows (what, value) on a mesh."""
    cells = source.cells
    kind = type(source.mesh)
    rows = [
        ("mesh", f"{kind.__module__.partition('.')[0]}.{kind.__name__}, {cells.dim}-D"),
        (
            "nodes",
            f"{cells.n_nodes:,}" + (f" ({cells.n_points:,} vertices)" if cells.n_nodes != cells.n_points else ""),
        ),
        ("cells", ", ".join(f"{len(b):,} {b.kind.name}" for b in cells.blocks) or "none"),
    ]
    if cells.n_points:
        low, high = cells.points.min(axis=0), cells.points.max(axis=0)
        rows.append(("extent", " x ".join(f"[{a:.6g}, {b:.6g}]" for a, b in zip(low, high, strict=True))))
    rows.append(("boundaries", ", ".join(f"{k} ({len(v):,} facets)" for k, v in cells.facets.items()) or "no names"))
    rows += _regions(cells)
    if cells.periodic is not None and len(cells.periodic):
        rows.append(("periodic", f"{len(cells.periodic):,} pairs of nodes"))
    rows += [("point data" if k == 0 else "", _data(*item)) for k, item in enumerate(_fields(source).items())]
    return rows + _quality(source)


def _regions(cells: CellMesh) -> Rows:
    """The regions taken, data by data, and the cell data that tell no regions apart, each with the reason."""
    rows = [("regions" if k == 0 else "", _values(n, cells.labels[n])) for k, n in enumerate(cells.region_names)]
    if cells.regions is not None and not rows:
        rows.append(("regions", _values("without a name", cells.regions)))
    telling = {k for k, v in cells.labels.items() if v.dtype.kind in "iu" or v.dtype.kind == "f" and means_regions(k)}
    left = [(k, why) for k, why in verdicts(cells).items() if why and k in telling - {BLOCKS}]
    return rows + [("no regions" if k == 0 else "", f"{n}: {why}") for k, (n, why) in enumerate(left)]


def _values(name: str, values: Any) -> str:
    found, counts = np.unique(values, return_counts=True)
    if values.dtype == bool:
        return f"{name} ({counts[-1]:,} cells)"
    shown = ", ".join(f"{k} ({c:,} cells)" for k, c in zip(found[:12], counts[:12], strict=True))
    return f"{name}: {shown}" + (f" and {len(found) - 12} more" if len(found) > 12 else "")


def _fields(source: Source) -> dict[str, Any]:
    return dict(source.converter.fields(source.mesh)) or {"none": None}


def _data(name: str, values: Any) -> str:
    if values is None:
        return name
    values = np.asarray(values)
    width = f" x {values.shape[1]}" if values.ndim == 2 else ""
    if values.dtype.kind not in "fiub" or not values.size:
        return f"{name}: {values.dtype}{width}"
    bad = int((~np.isfinite(values)).sum())
    good = values[np.isfinite(values)]
    limits = f", {good.min():.6g} to {good.max():.6g}" if good.size else ""
    return f"{name}: {values.dtype}{width}{limits}" + (f", {bad} values not finite" if bad else "")


def _quality(source: Source) -> Rows:
    cells = source.cells
    try:
        check_cells(cells)
        check_facets(cells, facets_of(cells), np.zeros(cells.n_points, bool))
        verdict = "yes"
    except MeshmoveError as error:
        verdict = f"no. {error}"
    rows: Rows = []
    if cells.n_cells and np.isfinite(cells.points).all():
        with np.errstate(all="ignore"):  # degenerate cells are to be described, not to stop the description
            jacobian, aspect = scaled_jacobian(cells), aspect_ratio(cells)
        rows += [
            ("scaled Jacobian", f"{jacobian.min():.3g} at least, {np.median(jacobian):.3g} median"),
            ("aspect ratio", f"{aspect.max():.3g} at most, {np.median(aspect):.3g} median"),
            ("inverted or flat cells", str(int((Validity(cells).state != POSITIVE).sum()))),
        ]
    return [*rows, ("fit to be moved", verdict)]
