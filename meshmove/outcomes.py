"""What may come of a move beside a better mesh: each outcome has a name, a cause and a remedy.

A warning of a report is a string that knows its `Outcome`, so that scripts can react to it::

    if Outcome.TOO_STEEP in out.report.outcomes:
        out = meshmove.adapt(mesh, monitor=gentler)

The form follows lineax's enumeration of results (Rader, Lyons & Kidger, arXiv:2311.17283).
"""

from __future__ import annotations

from enum import Enum

__all__ = ["Outcome", "Told"]


class Told(str):
    """A warning in words, and the `outcome` that it tells of."""

    outcome: Outcome

    def __new__(cls, text: str, outcome: Outcome) -> Told:
        told = super().__new__(cls, text)
        told.outcome = outcome
        return told

    def __getnewargs__(self) -> tuple[str, Outcome]:  # type: ignore[override]
        return str(self), self.outcome


class Outcome(Enum):
    """Names of what a report's warnings say; `cause` and `remedy` in general words.

    >>> warning = Outcome.NO_GAIN.told("no move is predicted to lower the error: the mesh stays as it is")
    >>> warning.outcome.name, warning.startswith("no move")
    ('NO_GAIN', True)
    """

    NO_GAIN = (
        "No move is predicted to lower the error; the mesh stays as it is.",
        "Nothing needs to be done. If you know better, give a monitor: monitor=Monitor(intensity=...) or a function.",
    )
    NOTHING_TO_MEET = (
        "The monitor is constant, or the field is linear or constant as far as the mesh shows it.",
        "Check that the field is the one that you meant, and that the mesh resolves its features.",
    )
    UNJUDGED = (
        "No error can be predicted for this element, so nothing judges the move.",
        "Compare errors yourself, or adapt to a linear field (P1 values at the vertices).",
    )
    UNRESOLVED = (
        "Cells are about as wide as the field's features, or wider; what is recovered of it may mislead the move.",
        'Refine the mesh where the field changes, compare errors, or take objective="equidistribution".',
    )
    PART_OF_FIELDS = (
        "The basis has several fields, as of a flow; the mesh moves to one of them.",
        "Nothing, if that is the velocity of a flow. For another field pass one of basis.split(dofs).",
    )
    TOO_STEEP = (
        "The monitor is far from being met: too steep for these cells, or too many nodes are held.",
        "Smooth or bound the monitor, refine the mesh, let boundaries slide, or raise the effort.",
    )
    NOT_UNTANGLED = (
        "The relaxation left inverted cells that could not be untangled; the move went on from rest.",
        "Lower the monitor's contrast or raise the distortion; the mesh that came back is valid.",
    )
    STEP_SHORTENED = (
        "Second-order cells would have folded, or cells in the precision of the mesh; some vertices went less far.",
        "Use double precision points, or straighter cells where the mesh is coarse.",
    )
    STEP_CUT = (
        "Cells would have been inverted in a time step, also by parts; nodes went a share of their way.",
        "Take shorter time steps, or a gentler monitor; the mesh catches up in the steps that follow.",
    )
    SUBSTEPPED = (
        "A step in time, or of the boundary, would have inverted cells at once; it was taken in parts.",
        "Nothing needs to be done; shorter time steps make each of them cheaper.",
    )
    BOUNDARY_HELD_BACK = (
        "A prescribed motion of the boundary would have inverted or flattened cells; it went a share of its way.",
        "Check the motion; begin with a mesh that has more room there, or make a new mesh from here on.",
    )
    STAYED = (
        "What was left of the step would have made the mesh worse, so it stays as it is.",
        "Refine the mesh, or free nodes that are held.",
    )
    UNCONFIRMED = (
        "The solution on the moved mesh shows more error than the one before the move; the mesh went back.",
        "Give a field of the solution itself, not one that was derived from it, as stresses are; or refine the mesh.",
    )
    SHAPE_LOST = (
        "A curved boundary encloses another volume than before, by more than movers keep to.",
        'Hold that boundary with boundary={"name": "fixed"}, or refine it.',
    )
    BROUGHT_BACK = (
        "A mover left nodes off their boundary, moved fixed ones or inverted cells; this was put right.",
        "If the mover is yours, end it with problem.slide.retract and problem.drawn_back.",
    )
    MADE_WORSE = (
        "A mover raised the imbalance or the predicted error; the mesh stays as it was.",
        "Use another mover, or a gentler monitor.",
    )
    CLASSICAL_INSTEAD = (
        "The network was not used, or found nothing better; the classical mover moved the mesh.",
        "Nothing needs to be done; the problem lies outside of what the network was trained on.",
    )
    ON_THE_PROCESSOR = (
        "The network that aligns one mesh with a field ran on the processor, not on the device that was asked for.",
        "Leave the device out, or move many meshes at once: `Aligner.move` with `FieldBatch.of(meshes, device)`.",
    )
    INTEGRAL_NOT_KEPT = (
        "The transfer that was asked for does not keep this field's integral.",
        "Carry values at vertices, or project the field onto the new space yourself.",
    )
    TAKEN_AS_LINEAR = (
        "A mesh in pieces is moved for linear elements, by values at vertices; the field is of another element.",
        "Compare errors, or move the mesh on one process, where degree 2 has an objective of its own.",
    )
    ELEMENT_REMEMBERS = (
        "The element of the basis remembers the first mesh that it is used on.",
        "Make a new element for the moved mesh, or use meshmove.plugins.skfem.basis_on(out.mesh, basis).",
    )

    def __init__(self, cause: str, remedy: str) -> None:
        self.cause, self.remedy = cause, remedy

    def told(self, text: str) -> Told:
        """A warning of this outcome, with what happened in this case."""
        return Told(text, self)
