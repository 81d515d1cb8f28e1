"""What a model was trained on, in ranges that are kept with its weights, and what of a rollout lies outside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array
from meshmove.solvers.data import Trajectories, TrajectoryDataset

from .rest import rest_of
from .shapes import MESH, NODES, of_boundaries, of_mesh, of_nodes, rim_of, sizes_of

__all__ = ["Seen"]

Range = tuple[float, float]

#: how far beyond a range is still within: a share of its width, and of the size of its ends
MARGIN = 0.1, 0.02
#: share of the nodes that must be unlike those of training to be worth a word
STRANGE = 0.05
#: share of the nodes of a mesh, at either end, that do not make the range
TAIL = 0.01
#: numbers with a gap between them of more than this share of their range were trained one by one
GAP = 0.25
#: factor by which a field may vary less than any of training
SMALLER = 1.5
#: factors by which features may be smaller, or larger, than the smallest and largest of training
FINER, SMOOTHER = 1.25, 2.0
#: difference of a field from a known value, in its standard deviations, that is rounding
ROUNDING = 1e-5


@dataclass(frozen=True)
class Seen:
    """Ranges over the meshes and frames of training.

    Parameters
    ----------
    cells
        Kinds of cells.
    mesh, nodes
        Ranges of the measures of `MESH`, and of those of `NODES` over the inner nodes of meshes.
    sides
        Where named boundaries lie: name -> ranges of the mean and the spread of their nodes, in the bounding box.
    attributes
        Name -> the values, sorted.
    values, spread, cells_a_feature
        Field -> ranges of its values, of its standard deviation in a frame, and of that over the mean difference along
        an edge.
    held
        Boundary -> field -> the value that it had there in all frames; "" is the whole boundary of a mesh.
    rest
        A constant state at which nothing moves, and the least departure from it around a node in training; see
        `rest_of`. None where none is known.
    """

    cells: tuple[str, ...]
    mesh: Mapping[str, Range]
    nodes: Mapping[str, Range]
    sides: Mapping[str, Sequence[Range]]
    attributes: Mapping[str, Sequence[float]]
    values: Mapping[str, Range]
    spread: Mapping[str, Range]
    cells_a_feature: Mapping[str, Range]
    held: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    rest: tuple[Sequence[float], float] | None = None

    @classmethod
    def of(cls, data: TrajectoryDataset, rings: int) -> Seen:
        """Of a data set, for a model in whose passes nodes see those `rings` edges away."""
        parts = [_of_group(g) for g in data.groups]
        joined = parts[0]
        for part in parts[1:]:
            joined = joined | part
        return Seen(**(vars(joined) | {"rest": rest_of(data, joined.held, rings)}))

    def __or__(self, other: Seen) -> Seen:
        """What either has seen; held is what both say, of rest what both know."""
        held = {name: {f: v for f, v in at.items() if other.held.get(name, at).get(f) == v}
                for name, at in {**other.held, **self.held}.items()}  # fmt: skip
        rest = None
        if self.rest and other.rest and tuple(self.rest[0]) == tuple(other.rest[0]):
            rest = self.rest[0], min(self.rest[1], other.rest[1])
        every = {**self.sides, **other.sides}
        return Seen(
            tuple(sorted({*self.cells, *other.cells})),
            _hulls(self.mesh, other.mesh),
            _hulls(self.nodes, other.nodes),
            {k: [_hull(*both) for both in zip(self.sides.get(k, v), other.sides.get(k, v), strict=True)]
             for k, v in every.items()},
            {k: sorted({*v, *other.attributes.get(k, ())}) for k, v in self.attributes.items()},
            _hulls(self.values, other.values),
            _hulls(self.spread, other.spread),
            _hulls(self.cells_a_feature, other.cells_a_feature),
            {name: at for name, at in held.items() if at},
            rest,
        )  # fmt: skip

    def as_json(self) -> dict[str, Any]:
        """For the file with the weights."""
        return asdict(self)

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Seen:
        """The inverse of `as_json`."""
        ranges = {k: {name: tuple(r) for name, r in said[k].items()} for k in ("mesh", "nodes", "values", "spread")}
        ranges["cells_a_feature"] = {name: tuple(r) for name, r in said["cells_a_feature"].items()}
        sides = {name: [tuple(r) for r in at] for name, at in said["sides"].items()}
        rest = said["rest"] and (tuple(said["rest"][0]), float(said["rest"][1]))
        attributes = {k: list(v) for k, v in said["attributes"].items()}
        return cls(tuple(said["cells"]), sides=sides, attributes=attributes, held=said["held"], rest=rest, **ranges)

    def near(self, mesh: CellMesh, attributes: Sequence[float], far: float) -> Array:
        """Share (n,) of trust in a network at the nodes of a mesh: 1 within the ranges of attributes and cells' sizes,
        0 from a factor `far` outside on; of attributes that are not positive, from as many widths."""
        outside = sum(
            _outside(np.array(a), _ends(v), far) for a, v in zip(attributes, self.attributes.values(), strict=True)
        )
        sizes = _outside(sizes_of(mesh), self._sizes, far) if "size" in self.nodes else 0.0
        return np.clip(1 - outside - sizes, 0.0, 1.0) * np.ones(mesh.n_points)

    @property
    def _sizes(self) -> Range:
        """Of cells, as wide as those of nodes on boundaries need it, which have fewer edges."""
        low, high = self.nodes["size"]
        return low / FINER, high * FINER

    def strange(self, mesh: CellMesh, values: Array, attributes: Sequence[float]) -> Iterator[str]:
        """What of a mesh, of the fields (n, F) at a start and of the attributes lies outside, in words."""
        yield from self._strange_mesh(mesh)
        for (name, trained), value in zip(self.attributes.items(), attributes, strict=True):
            yield from _strange_number(f"the attribute {name!r}", value, trained)
        for k, name in enumerate(self.values):
            low, high = values[:, k].min(), values[:, k].max()
            if not (_within(low, self.values[name]) and _within(high, self.values[name])):
                known = _words(self.values[name])
                yield f"the field {name!r} is {_words((low, high))} at the start, in training {known}"
            least, size = self.spread[name][0], float(values[:, k].std())
            if size < least / SMALLER and not self._rests(values):
                yield (
                    f"the field {name!r} varies by {size:.3g} (standard deviation) at the start, in training by "
                    f"{least:.3g} and more"
                )
            count, usual = _cells_a_feature(mesh, values[None, :, k]), self.cells_a_feature[name]
            if len(count) and not usual[0] / FINER <= count[0] <= usual[1] * SMOOTHER:
                yield (
                    f"the field {name!r} changes by its standard deviation over {count[0]:.3g} edges of the mesh at "
                    f"the start, in training over {_words(usual)}"
                )

    def _rests(self, values: Array) -> bool:
        """Whether fields (n, F) are at rest."""
        return self.rest is not None and bool((values == np.array(self.rest[0])).all())

    def _strange_mesh(self, mesh: CellMesh) -> Iterator[str]:
        kinds = sorted({b.kind.name for b in mesh.blocks} - {*self.cells})
        if kinds:
            yield f"the mesh has cells of the kinds {kinds}, those of training {list(self.cells)}"
        for name, value in of_mesh(mesh).items():
            if name in self.mesh and not _within(value, self.mesh[name]):
                what = MESH[name.rstrip("xyz")].format(name[-1])
                yield f"{what} is {value:.3g}, in training {_words(self.mesh[name])}"
        if not kinds:
            yield from self._strange_nodes(mesh)
        for name, found in of_boundaries(mesh).items():
            if name in self.sides and not all(map(_beside, found, self.sides[name])):
                pairs = [p for p in zip(found, self.sides[name], strict=True) if not _beside(*p)]
                where = ", ".join(f"{value:.2f} for {_words(known)}" for value, known in pairs)
                yield f"the boundary {name!r} lies elsewhere in the mesh's box than in training: {where}"

    def _strange_nodes(self, mesh: CellMesh) -> Iterator[str]:
        worst: dict[str, tuple[float, str]] = {}
        for name, at in of_nodes(mesh).items():
            if name not in self.nodes or not len(at):
                continue
            out = ~_within(at, self.nodes[name])
            share, what = float(out.mean()), name.rstrip("0123456789")
            if share > max(STRANGE, worst.get(what, (0.0, ""))[0]):
                worst[what] = (
                    share,
                    (
                        f"{NODES[what]} is {_words(_range(at[out]))} at {100 * share:.0f} % of the mesh's inner nodes, "
                        f"in training {_words(self.nodes[name])}"
                    ),
                )
        if "size" in worst:
            low, high = self.nodes["size"]
            times = of_nodes(mesh)["size"].mean() / (0.5 * (low + high))
            worst["size"] = 1.0, f"the mesh's edges are {times:.3g} times as long as in training: {worst['size'][1]}"
        yield from (words for _, words in worst.values())


def _of_group(g: Trajectories) -> Seen:
    mesh = g.mesh
    nodes = {name: _range(np.quantile(at, [TAIL, 1 - TAIL])) for name, at in of_nodes(mesh).items() if len(at)}
    counts = {name: [_cells_a_feature(mesh, one) for one in v] for name, v in g.fields.items()}
    return Seen(
        tuple(sorted(g.cells)),
        {name: (value, value) for name, value in of_mesh(mesh).items()},
        nodes,
        {name: [(v, v) for v in at] for name, at in of_boundaries(mesh).items()},
        {name: sorted({float(v) for v in at}) for name, at in g.attributes.items()},
        {name: _range(v) for name, v in g.fields.items()},
        {name: _range(v.std(axis=2, dtype=float)) for name, v in g.fields.items()},
        {name: _range(np.concatenate(c) if sum(map(len, c)) else np.ones(1)) for name, c in counts.items()},
        _held(g),
    )


def _held(g: Trajectories) -> dict[str, dict[str, float]]:
    """What fields are on each boundary, and on all of it, where they are the same in all frames."""
    places = {"": rim_of(g.mesh)} | {name: np.unique(ids[ids >= 0]) for name, ids in g.boundaries.items()}
    found: dict[str, dict[str, float]] = {}
    for field_, values in g.fields.items():
        off = ROUNDING * max(float(values.std(dtype=float)), 1e-300)
        for name, ids in places.items():
            there = values[:, :, ids]
            if there.size and float(np.ptp(there)) <= 2 * off:
                value = float(np.median(there))
                near = round(value)
                found.setdefault(name, {})[field_] = float(near) if abs(value - near) <= off else value
    return found


def _cells_a_feature(mesh: CellMesh, values: NDArray) -> Array:
    """Standard deviation over root mean square difference along edges, of each of fields (k, n) but constants."""
    i, j = np.asarray(mesh.edges).T
    v = np.asarray(values, float)
    step = np.sqrt(((v[:, i] - v[:, j]) ** 2).mean(axis=1))
    moving = step > 1e-12 * np.abs(v).max(axis=1, initial=1e-300)
    return v[moving].std(axis=1) / step[moving]


def _strange_number(what: str, value: float, known: Sequence[float]) -> Iterator[str]:
    low, high = known[0], known[-1]
    width = high - low
    if not _within(value, (low, high)):
        yield f"{what} is {value:g}, in training {_words((low, high))}"
    elif width:
        k = int(np.clip(np.searchsorted(known, value), 1, len(known) - 1))
        near = min(value - known[k - 1], known[k] - value)
        if known[k] - known[k - 1] > GAP * width and near > MARGIN[1] * width:
            yield f"{what} is {value:g}, in training {known[k - 1]:g} or {known[k]:g} and nothing between"


def _within(value: Any, known: Range) -> Any:
    low, high = known
    slack = max(MARGIN[0] * (high - low), MARGIN[1] * max(abs(low), abs(high)), 1e-9)
    return (value >= low - slack) & (value <= high + slack)


def _beside(value: float, known: Range) -> bool:
    """Whether a share of a box is in a range, to a twentieth of the box."""
    return known[0] - 0.05 <= value <= known[1] + 0.05


def _words(known: Range) -> str:
    low, high = (f"{v:.3g}" for v in known)
    return low if low == high else f"{low} to {high}"


def _range(values: NDArray) -> Range:
    return float(np.min(values)), float(np.max(values))


def _hull(a: Range, b: Range) -> Range:
    return min(a[0], b[0]), max(a[1], b[1])


def _ends(values: Sequence[float]) -> Range:
    return min(values), max(values)


def _outside(value: Array, ends: Range, far: float) -> Array:
    """How far values lie outside of a range: 0 within, 1 where they are off by a factor."""
    low, high = ends
    if low > 0:
        value = np.log(np.maximum(value, 1e-300))
        return np.maximum(np.maximum(np.log(low) - value, value - np.log(high)), 0) / np.log(far)
    return np.maximum(np.maximum(low - value, value - high), 0) / (far * max(high - low, 1e-300))


def _hulls(a: Mapping[str, Range], b: Mapping[str, Range]) -> dict[str, Range]:
    return {name: _hull(a.get(name, b.get(name)), b.get(name, a.get(name))) for name in {**a, **b}}  # type: ignore[arg-type]
