"""`adapt`, `adapt_loop` and `MovingMesh` for DOLFINx's meshes, with tags, and in place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

import meshmove.motion.moving_mesh
from meshmove.adaptation import adapt as one
from meshmove.adaptation.loops import loop
from meshmove.adaptation.loops.loop import LoopResult
from meshmove.adaptation.result import Adaptation

from .carried import gone_along, vertex_blocks, with_same_dofs
from .functions import is_function, owns
from .tags import attached, named_modes, tags_of, with_tags
from .versions import coordinate_degree, dof_table, node_table, vector_space, with_geometry

__all__ = ["MovingMesh", "adapt", "adapt_loop", "velocity_function"]


def adapt(
    domain: Any,
    field: Any = None,
    *,
    facet_tags: Any = None,
    cell_tags: Any = None,
    inplace: bool = False,
    **options: Any,
) -> Adaptation:
    """Move the nodes of a DOLFINx mesh to where a field needs them.

    Parameters
    ----------
    domain
        A `dolfinx.mesh.Mesh`.
    field
        A `dolfinx.fem.Function` of any element, a UFL expression, a function f(x) with x of shape (dim, n), or an array
        with a row a geometry node. Of a mixed space the mesh moves to the vectors of the highest degree.
    facet_tags, cell_tags
        `dolfinx.mesh.MeshTags`: boundaries, for ``boundary={3: "fixed"}``, and regions, whose interfaces are kept.
    inplace
        Move the nodes of the mesh that is given. Functions on it keep their degrees of freedom, and so go along with
        the nodes; ``out.fields["field"]`` and ``out.transfer(u)`` are the same functions of space, carried.
    options
        Those of `meshmove.adapt`; and `inverses`, what inverts matrices on several processes:
        `meshmove.distributed.Condensed`, or `meshmove.plugins.mpi.PetscInverses`.

    Returns
    -------
    Adaptation
        `mesh` has the topology of `domain`; functions in `fields`, and what `transfer` gives, are on it.

    Raises
    ------
    MeshmoveError
        The mesh, the tags or the field is unusable.
    ValueError
        An option is not one of its choices.
    """
    mesh = _tagged(domain, facet_tags, cell_tags, inplace)
    options = _named(options)
    move = _one if domain.comm.size == 1 else _several
    if not inplace:
        return move(mesh, field, options)
    still, there = _still(domain, mesh, field)
    return _moved_in_place(domain, move(still, there, options))


def _one(mesh: Any, field: Any, options: dict[str, Any]) -> Adaptation:
    return one.adapt(mesh, field, **_of_one(options))


def _several(mesh: Any, field: Any, options: dict[str, Any]) -> Any:
    from .parallel import adapt_parallel

    return adapt_parallel(mesh, field, options)


def _still(domain: Any, mesh: Any, field: Any) -> tuple[Any, Any]:
    """A copy that stays while `domain` is moved, and the field on it."""
    if domain.comm.size > 1:
        from .parallel import still_of

        return still_of(domain, mesh, field)
    still = attached(with_geometry(domain), tags_of(mesh))
    return still, gone_along(domain, still, field) if owns(field) else field


def adapt_loop(
    domain: Any,
    solve: Callable[[Any], Any],
    *,
    facet_tags: Any = None,
    cell_tags: Any = None,
    inplace: bool = False,
    **options: Any,
) -> LoopResult:
    """Solve, move a DOLFINx mesh to the solution, and so on.

    Parameters
    ----------
    domain
        A `dolfinx.mesh.Mesh`.
    solve
        solve(mesh) -> field in any form that `adapt` takes; each mesh has the topology of `domain`, and its tags.
    facet_tags, cell_tags, inplace
        As for `adapt`.
    options
        Those of `meshmove.adapt_loop`.
    """
    tagged = _tagged(domain, facet_tags, cell_tags, inplace)
    options = _named(options)
    result: Any
    if domain.comm.size > 1:
        from .parallel import loop_parallel

        steps, progress = options.pop("steps", 3), options.pop("progress", None)
        result = loop_parallel(tagged, solve, steps, progress, options)
    else:
        result = loop.adapt_loop(tagged, solve, **_of_one(options))
    if not inplace:
        return result
    first = attached(with_geometry(domain), tags_of(tagged))
    return type(result)(_moved_in_place(domain, result.adaptation), result.history, first)


class MovingMesh(meshmove.motion.moving_mesh.MovingMesh):
    """A DOLFINx mesh that follows a field through time; see `meshmove.MovingMesh`.

    Fields may be `dolfinx.fem.Function` or UFL expressions on ``moving.mesh``. ``step.carried`` and ``step.material``
    are then functions on the new mesh: the same function of space, and the same degrees of freedom.

    On several processes it is a `ParallelMovingMesh`, whose steps have the same attributes. Options are then `monitor`,
    `mover`, `effort`, `boundary`, `fixed`, `objective`, `tau`, `transfer` and `inverses`, by default
    `meshmove.plugins.mpi.PetscInverses`; no boundary is moved, and nothing is saved or filmed.
    """

    def __new__(cls, domain: Any = None, **options: Any) -> Any:
        if domain is None or domain.comm.size == 1:
            return super().__new__(cls)
        from .parallel_moving import ParallelMovingMesh

        tags = options.pop("facet_tags", None), options.pop("cell_tags", None)
        return ParallelMovingMesh(_tagged(domain, *tags), _named(options))

    def __init__(self, domain: Any, *, facet_tags: Any = None, cell_tags: Any = None, **options: Any) -> None:
        super().__init__(_tagged(domain, facet_tags, cell_tags), **_of_one(_named(options)))


def velocity_function(step: Any, mesh: Any = None) -> Any:
    """The velocity of the nodes in a step, as a vector-valued `Function` of the geometry's degree.

    Parameters
    ----------
    step
        Of a `MovingMesh`, on one process or several.
    mesh
        On which it is to be: ``step.mesh`` (by default), ``step.old`` or ``step.middle``.
    """
    from dolfinx.fem import Function

    mesh = step.mesh if mesh is None else mesh
    velocity = np.asarray(step.velocity)
    out = Function(vector_space(mesh, velocity.shape[1], coordinate_degree(mesh)), name="velocity")
    vertex_blocks(out)[dof_table(out.function_space)] = velocity[node_table(mesh)]
    return out


def _tagged(domain: Any, facet_tags: Any, cell_tags: Any, inplace: bool = False) -> Any:
    if domain.comm.size > 1:
        from .parallel import tagged_together

        return tagged_together(domain, facet_tags, cell_tags, inplace)
    if facet_tags is None and cell_tags is None:
        return domain
    return with_tags(domain, facet_tags, cell_tags)


def _of_one(options: dict[str, Any]) -> dict[str, Any]:
    """Without what only several processes need: one has the factors or the multigrid of `adapt`."""
    return {k: v for k, v in options.items() if k != "inverses"}


def _named(options: dict[str, Any]) -> dict[str, Any]:
    return {k: named_modes(v) if k == "boundary" else v for k, v in options.items()}


def _moved_in_place(domain: Any, out: Any) -> Any:
    """The nodes of `domain` put where those of the moved mesh are, and what was carried put on it."""
    domain.geometry.x[:] = out.mesh.geometry.x

    def transfer(values: Any) -> Any:
        carried = out.transfer(gone_along(domain, out.original, values) if owns(values) else values)
        return with_same_dofs(carried, domain) if is_function(carried) else carried

    fields: dict[str, Any] = {k: with_same_dofs(v, domain) if is_function(v) else v for k, v in out.fields.items()}
    return replace(out, mesh=domain, fields=fields, _transfer=transfer)
