"""Time series on the command line: one moving mesh through all frames, and what there is to say of a series."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from meshmove.meshes.series import files
from meshmove.meshes.series.files import KINDS, read_series, write_series
from meshmove.meshes.source import Source

from .arguments import check_folder, check_replaced
from .console import tell, warn, working

if TYPE_CHECKING:
    import meshio

    from meshmove.motion.step import StepReport

__all__ = ["adapt_series", "check", "describe_series", "is_series"]

#: films that may be drawn of a series
FILMS = (".gif", ".mp4", ".html")


def is_series(path: Path, out: Path | None = None) -> bool:
    """Whether a path stands for several frames, or has to, as a collection of them is to be written."""
    collection = out is not None and out.suffix.lower() == ".pvd"
    return files.is_series(path) or (collection and path.suffix.lower() in KINDS)


def check(path: Path, out: Path, field: str | None, field_from: str | None, as_json: bool, force: bool) -> None:
    """Raise ValueError for options that say nothing of a series."""
    if field is None or field_from is not None or as_json:
        got = "--field-from" if field_from is not None else "--json" if as_json else "no --field"
        raise ValueError(f"Expected --field with the name of the point data of a time series (got {got} with '{path}')")
    check_replaced(out, path, force)


def adapt_series(path: Path, out: Path, field: str, film: Path | None, transfer: str | None, **options: Any) -> None:
    """Follow a field through the frames of a series, and write the moved ones."""
    from meshmove.motion.series import followed

    check_folder(out)
    if out.suffix.lower() not in KINDS:
        raise ValueError(f"Expected a {', '.join(KINDS[:-1])} or {KINDS[-1]} file for a time series (got '{out.name}')")
    if film is not None:
        _check_film(film)
    series = read_series(path)
    reports: list[StepReport] = []
    shown: list[tuple[Any, Any, float]] = []

    def moved() -> Iterator[tuple[float, meshio.Mesh]]:
        for k, frame in enumerate(followed(series, field, transfer, **options)):
            tell(f"frame {k + 1} of {len(series)}, time {frame.time:g}" + _told(frame.report))
            if frame.report is not None:
                reports.append(frame.report)
            if film is not None:
                shown.append((frame.mesh, field, frame.time))
            yield frame.time, frame.mesh

    with working(f"moving {len(series)} frames"):
        write_series(out, moved())
    tell(f"wrote {out}")
    for text in dict.fromkeys(w for r in reports for w in r.warnings):
        warn(text)
    if film is not None:
        from meshmove import animate

        with working(f"drawing {film.name}"):
            animate(shown, film, progress=False)
        tell(f"wrote {film}")


def _told(report: StepReport | None) -> str:
    if report is None:
        return ""
    return f": largest speed of a node {report.largest_speed:.3g}, smallest volume ratio {report.min_volume_ratio:.3g}"


def _check_film(path: Path) -> None:
    from meshmove.plugins.pictures.film_files import check_path

    check_folder(path)
    check_path(path, FILMS)


def describe_series(path: Path) -> list[tuple[str, str]]:
    """Rows (what, value): frames and times, the first mesh, and the range of each field over all frames."""
    from meshmove.meshes.describe import describe

    series = read_series(path)
    times = np.array(series.times)
    steps = np.diff(times)
    apart = "" if not len(steps) else f", {steps.min():.6g} apart"
    if len(steps) and np.ptp(steps) > 1e-6 * steps.max():
        apart = f", {steps.min():.6g} to {steps.max():.6g} apart"
    rows = [("series", f"{len(series)} frames, times {times[0]:g} to {times[-1]:g}{apart}")]
    ranges: dict[str, tuple[float, float]] = {}
    cells, bad, first = None, 0, None
    for k, moment in enumerate(series):
        source = Source.of(moment.mesh)
        if cells is None or first is None:
            first, cells = source, source.cells
        elif not cells.same_cells(source.cells):
            rows.append(("cells", f"others from frame {k} on: {source.cells}"))
            cells = source.cells
        for name, values in source.converter.fields(moment.mesh).items():
            good = np.asarray(values)[np.isfinite(values)]
            bad += np.size(values) - good.size
            if good.size:
                low, high = ranges.get(name, (np.inf, -np.inf))
                ranges[name] = min(low, float(good.min())), max(high, float(good.max()))
    rows += [(f"{name}, all frames", f"{low:.6g} to {high:.6g}") for name, (low, high) in ranges.items()]
    if bad:
        rows.append(("not finite", f"{bad} values in all frames"))
    assert first is not None
    return [*rows, ("first frame", ""), *describe(first)]
