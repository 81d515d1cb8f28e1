"""Random meshes, random monitors: no cell is inverted, no boundary left, nothing raised that is not documented."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.harness import Rows, main, row, timed

import numpy as np  # isort: skip
from numpy.typing import NDArray

from benchmarks.adapting.gauss_points import negative_at_gauss_points
from benchmarks.adapting.random_meshes import Sample, random_mesh
from meshmove import Adaptation, MeshmoveError, Monitor, Smooth, adapt
from meshmove.geometry import cell_volumes, facets_of, inverted_cells
from meshmove.geometry.sliding import Facets

__all__ = ["Case", "broken_law", "bulge", "case"]

Array = NDArray[np.float64]
SECONDS = 60.0  #: a case that takes longer than this counts as an endless loop
ROUND = 0.02  #: share of its volume that a coarse body with curved sides may lose


@dataclass(frozen=True, eq=False)
class Case:
    """A mesh and the arguments of `adapt`; `again`: a second monitor, for a move relative to the first mesh."""

    seed: int
    sample: Sample
    options: dict[str, Any]
    again: Callable[[Array], Array] | None
    label: str

    def run(self) -> list[Adaptation]:
        mesh = self.sample.handed
        out = [adapt(mesh, **self.options)]
        if self.again is not None:
            options = {k: v for k, v in self.options.items() if k not in ("field", "monitor")}
            out.append(adapt(out[0].mesh, monitor=self.again, reference=mesh, **options))
        return out


# -- monitors -------------------------------------------------------------------------------------------------------


def _shape(rng: np.random.Generator, dim: int) -> tuple[str, Callable[[Array], Array]]:
    """A function of s (dim, n) with values from 0 to 1 that is steep somewhere."""
    centre, width = rng.uniform(0, 1, dim), 10 ** rng.uniform(-2.5, -0.3)
    normal = rng.standard_normal(dim)
    normal /= np.linalg.norm(normal)

    def distance(s: Array) -> Array:
        return np.sqrt(((s - centre[:, None]) ** 2).sum(axis=0))

    def sech2(t: Array) -> Array:
        return 1 / np.cosh(np.clip(t, -300, 300)) ** 2

    radius = rng.uniform(0.1, 0.5)
    shapes: dict[str, Callable[[Array], Array]] = {
        "ring": lambda s: sech2((distance(s) - radius) / width),
        "layer": lambda s: sech2(normal @ (s - centre[:, None]) / width),
        "wavy layer": lambda s: sech2((normal @ (s - centre[:, None]) + 0.1 * np.sin(9 * s[0])) / width),
        "peak": lambda s: np.exp(-((distance(s) / width) ** 2)),
        "step": lambda s: (normal @ (s - centre[:, None]) > 0).astype(float),
        "disk": lambda s: (distance(s) < radius).astype(float),
        "cusp": lambda s: 1 / (1 + distance(s) / width),
        "waves": lambda s: np.sin(s.sum(axis=0) / width) ** 2,
        "constant": lambda s: np.ones(s.shape[1]),
    }
    name = str(rng.choice(list(shapes)))
    return name, shapes[name]


def _monitor(rng: np.random.Generator, sample: Sample) -> tuple[str, Callable[[Array], Array]]:
    name, shape = _shape(rng, sample.mesh.dim)
    amplitude, size = 10 ** rng.uniform(-1, 4), 10 ** (rng.uniform(-12, 12) if rng.random() < 0.1 else 0)
    return f"{name} x {amplitude:.3g}", lambda x: size * (1 + amplitude * shape(sample.local(x.T).T))


def _field(rng: np.random.Generator, sample: Sample) -> tuple[str, Array]:
    s = sample.local(sample.mesh.points).T
    name, shape = _shape(rng, sample.mesh.dim)
    more = rng.integers(4)
    u = shape(s)
    if more == 0:
        name, u = "noise", rng.standard_normal(len(u))
    elif more == 1:
        name, u = f"{name} and noise", u + 1e-6 * rng.standard_normal(len(u))
    elif more == 2:
        name, u = f"{name}, two fields", np.stack([u, 1e3 * _shape(rng, len(s))[1](s)], axis=1)
    return f"field {name}", u * 10 ** (rng.uniform(-9, 9) if rng.random() < 0.1 else 0)


def case(seed: int, kind: str | None = None) -> Case:
    """The random case of this number."""
    rng = np.random.default_rng(seed)
    sample = random_mesh(rng, kind)
    options: dict[str, Any] = {"effort": float(rng.choice([0.3, 0.3, 0.3, 0.3, 1.0])), "transfer": None}
    again = None
    if rng.random() < 0.6:
        name, options["monitor"] = _monitor(rng, sample)
    else:
        name, options["field"] = _field(rng, sample)
        monitor = Monitor(str(rng.choice(["hessian", "hessian", "gradient", "curvature"])))
        if rng.random() < 0.4:
            monitor = Monitor(monitor.kind, float(10 ** rng.uniform(-1, 3)), float(rng.uniform(0.3, 2)))
        options["monitor"] = monitor
        options["transfer"] = str(rng.choice(["interpolate", "conservative"])) if rng.random() < 0.3 else None
        name = f"{name}, {monitor.kind}"
    if rng.random() < 0.2:
        options["boundary"] = {"half": "fixed"} if "half" in sample.mesh.facets else "fixed"
    if rng.random() < 0.15:
        options["fixed"] = sample.vertices[rng.random(sample.mesh.n_points) < rng.uniform(0, 0.5)]
    if rng.random() < 0.05:
        options["mover"] = Smooth()
    if rng.random() < 0.15:
        second, again = _monitor(rng, sample)
        name = f"{name}, then {second}"
    return Case(seed, sample, options, again, f"{sample.kind} {sample.mesh.n_cells}: {name}")


# -- laws -----------------------------------------------------------------------------------------------------------


def broken_law(case: Case) -> str | None:
    """Runs the case; what is wrong with the outcome, or None. Documented errors are right for impossible input only."""
    mesh = case.sample.mesh
    began = time.process_time()  # of the processor: others may be at work beside
    try:
        outs = case.run()
    except MeshmoveError as error:
        return f"{type(error).__name__}: {error}"  # every mesh here is a good one
    except Exception as error:  # noqa: BLE001 - the point of the run
        return f"undocumented {type(error).__name__}: {error}"
    seconds = time.process_time() - began
    if seconds > SECONDS:
        return f"took {seconds:.0f} s"
    facets = facets_of(mesh)
    at = mesh.points
    for k, out in enumerate(outs):
        at = at + out.displacement[case.sample.vertices]
        for law in (_valid, _better, _on_boundary, _regions, _pinned):
            wrong = law(case, facets, out, at)
            if wrong:
                return wrong if k == 0 else f"{wrong} (second move)"
    return None


def _valid(case: Case, facets: Facets, out: Adaptation, at: Array) -> str | None:
    sample, mesh = case.sample, case.sample.mesh
    for name, points, nodes in (("displacement", at, None), ("mesh", out.moved.points, out.moved.nodes)):
        bad = inverted_cells(mesh, points, nodes)
        if len(bad):
            return f"{len(bad)} inverted cells by {name}: {bad[:5].tolist()}"
        bad = negative_at_gauss_points(mesh, points, nodes)
        if len(bad):
            return f"{len(bad)} cells inverted at Gauss points by {name}: {bad[:5].tolist()}"
    before, after = np.abs(cell_volumes(mesh)).sum(), np.abs(cell_volumes(mesh, at)).sum()
    most = ROUND if sample.wavy else 1e-5 if sample.single else 1e-8  # straight sides: nothing overlaps
    if sample.domain is None and abs(after - before) > most * before:
        return f"volume changed by {(after - before) / before:.1e}"
    return None


def _better(case: Case, facets: Facets, out: Adaptation, at: Array) -> str | None:
    report = out.report
    # a move is judged by the predicted error where a field is known, by the imbalance else; at the worst it is none
    before, after = report.predicted_error_before, report.predicted_error_after
    if before is None or after is None:
        if not report.imbalance_after <= report.imbalance_before * (1 + 1e-9) + 1e-12:
            return f"imbalance {report.imbalance_before:.4g} -> {report.imbalance_after:.4g}"
    elif not after <= before * (1 + 1e-9):
        return f"predicted error {before:.4g} -> {after:.4g}"
    return None


def _on_boundary(case: Case, facets: Facets, out: Adaptation, at: Array) -> str | None:
    """Nodes stay on the lines of boundary facets or on the domain's curves; planes and corners are kept."""
    sample = case.sample
    outer = facets.nodes[facets.exterior]
    s, moved = sample.local(sample.mesh.points), sample.local(at)
    if sample.mesh.dim == 3 and sample.wavy:
        return None  # a curved surface is known by its facets alone; `_valid` looks at the volume
    if sample.domain is None and not sample.wavy:
        inside = np.abs(((moved - s)[np.maximum(outer, 0)] * _normals(s, outer)[:, None]).sum(axis=2)) * (outer >= 0)
        # edges and corners, having several normals, are held by this as well
        return (
            f"boundary nodes are {inside.max():.1e} off their facets' planes"
            if inside.max() > (1e-5 if sample.single else 1e-8)
            else None
        )
    nodes = np.unique(outer)
    off = _off(sample, outer, s, moved[nodes])
    if off.max() > max(1e-7, bulge(s, outer)):
        return f"nodes are {off.max():.1e} off the boundary"
    # nor may edges between nodes on the boundary cut it short
    chord = np.abs(_off(sample, outer, s, moved[outer].mean(axis=1))).max()
    usual = max(np.abs(_off(sample, outer, s, s[outer].mean(axis=1))).max(), 0.005)
    if chord > 4 * usual:
        return f"the boundary is cut by {chord:.1e} of the mesh's size"
    sharp = _sharp(sample.mesh.points, outer)
    left = sharp[(at[sharp] != sample.mesh.points[sharp]).any(axis=1)]
    return f"corners moved: {left[:5].tolist()}" if len(left) else None


def bulge(s: Array, edges: NDArray) -> float:
    """How far a smooth curve through the boundary's nodes may bulge beyond its edges, where it has no corner: twice
    what a circle's arc does, which for edges h <= H at a node, a distance d off the line between its neighbours, bulges
    by d H / (4 h) beyond the longer one."""
    node = edges.ravel()
    order = np.argsort(node, kind="stable")
    nodes, start, count = np.unique(node[order], return_index=True, return_counts=True)
    ends = edges[:, ::-1].ravel()[order]
    two = (count == 2) & ~np.isin(nodes, _sharp(s, edges))
    x, a, b = s[nodes[two]], s[ends[start[two]]], s[ends[start[two] + 1]]
    along = (b - a) / np.linalg.norm(b - a, axis=1, keepdims=True)
    away = (x - a) - ((x - a) * along).sum(axis=1, keepdims=True) * along
    h = np.linalg.norm([x - a, b - x], axis=2)
    arc = np.linalg.norm(away, axis=1) * h.max(axis=0) / (4 * h.min(axis=0))
    return 2 * float(arc.max(initial=0.0))


def _sharp(x: Array, edges: NDArray, angle: float = 45.0) -> NDArray:
    """Boundary nodes at which the boundary turns by more than an angle in degrees, or that have not two edges."""
    node = edges.ravel()
    away = (x[edges[:, ::-1]] - x[edges]).reshape(-1, 2)
    order = np.argsort(node, kind="stable")
    nodes, start, count = np.unique(node[order], return_index=True, return_counts=True)
    a, b = away[order[start]], away[order[np.minimum(start + 1, len(order) - 1)]]
    cosine = -(a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return nodes[(count != 2) | (cosine < np.cos(np.radians(angle)))]


def _off(sample: Sample, outer: NDArray, s: Array, x: Array) -> Array:
    """Distance (m,) of points from the polyline of boundary edges, or from the true curve where that is nearer."""
    off = _distance(s, outer, x)
    return off if sample.domain is None else np.minimum(off, np.abs(sample.domain.signed_distance(x.T)))


def _normals(s: Array, nodes: NDArray) -> Array:
    a, b = s[nodes[:, 0]], s[nodes[:, 1]]
    if s.shape[1] == 2:
        normal = (b - a)[:, ::-1] * [-1, 1]
    else:
        normal = np.cross(b - a, s[nodes[:, 2]] - a)
    return normal / np.linalg.norm(normal, axis=1, keepdims=True)


def _distance(s: Array, edges: NDArray, x: Array) -> Array:
    """Distance (m,) of points x (m, 2) from the polyline of boundary edges."""
    a, b = s[edges[:, 0]], s[edges[:, 1]]
    along = b - a
    t = ((x[:, None] - a) * along).sum(axis=2) / (along**2).sum(axis=1)
    return np.linalg.norm(a + np.clip(t, 0, 1)[:, :, None] * along - x[:, None], axis=2).min(axis=1)


def _regions(case: Case, facets: Facets, out: Adaptation, at: Array) -> str | None:
    """Regions that a plane parts keep their volumes, under whatever name they came."""
    regions, mesh = case.sample.regions, case.sample.mesh
    if regions is None:
        return None
    before, after = (np.bincount(regions, np.abs(cell_volumes(mesh, p))) for p in (mesh.points, at))
    change = np.abs(after / before - 1).max()
    return f"regions by {[*case.sample.handed.cell_data]} change by {change:.1e}" if change > 1e-8 else None


def _pinned(case: Case, facets: Facets, out: Adaptation, at: Array) -> str | None:
    sample = case.sample
    still = np.isin(sample.vertices, case.options.get("fixed", []))
    mode = case.options.get("boundary", "slide")
    if mode == "fixed":
        nodes = facets.nodes[facets.exterior]
        still[nodes[nodes >= 0]] = True
    elif mode != "slide":
        nodes = np.asarray(case.sample.mesh.facets["half"])
        still[nodes[nodes >= 0]] = True
    moved = np.flatnonzero(still & (out.displacement[sample.vertices] != 0).any(axis=1))
    return f"fixed nodes moved: {moved[:5].tolist()}" if len(moved) else None


def run(quick: bool = False) -> Rows:
    """Ten thousand cases: how many broke a law, and which."""
    cases = 500 if quick else 10_000
    wrong = [(seed, text) for seed in range(cases) if (text := broken_law(case(seed)))]
    tangled = [w for w in wrong if "inverted" in w[1] and "Error" not in w[1]]
    raised = [w for w in wrong if "Error" in w[1] or "Warning" in w[1]]
    rows = [
        row(f"cases with inverted cells, of {cases:,}", len(tangled), "0", not tangled),
        row("exceptions", len(raised), "0", not raised),
        row("other laws broken", len(wrong) - len(tangled) - len(raised), "0", len(wrong) == len(tangled + raised)),
    ]
    return rows + [{"seed": seed, "what": text} for seed, text in wrong]


def _explore(first: int, last: int) -> None:
    """Print the cases that break a law or are slow; a line every 500, from which an interrupted run can go on."""
    began, count = time.perf_counter(), 0
    for seed in range(first, last):
        this = case(seed)
        seconds, wrong = timed(lambda this=this: broken_law(this))
        count += wrong is not None
        if wrong or seconds > 3:
            print(f"{seed} [{this.label}] {wrong} ({seconds:.2f} s)", flush=True)
        if (seed + 1) % 500 == 0 or seed + 1 == last:
            print(f"{first} to {seed + 1}: {count} broke a law ({time.perf_counter() - began:.0f} s)", flush=True)
    sys.exit(count > 0)


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1].isdigit():
        _explore(int(sys.argv[1]), int(sys.argv[2]))
    else:
        main(run)
