"""Which mesh the frame of an XDMF series has: its own, or that of another grid, which an xi:include points to."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

from meshmove.meshes.files.formats import MeshFileError

__all__ = ["mesh_of"]

_MESH = ("Topology", "Geometry")
_STEP = re.compile(r"(//?)(\w+)((?:\[[^\]]*\])*)")
_PREDICATE = re.compile(r"\[\s*([^\]]*?)\s*\]")
_ATTRIBUTE = re.compile(r"@(\w+)\s*=\s*(['\"])(.*)\2")


def mesh_of(domain: Element, grid: Element) -> Element:
    """The grid of a domain that holds the topology and geometry of this one.

    Raises
    ------
    MeshFileError
        What it points to is not there, and the domain has several meshes.
    """
    if any(part.tag in _MESH for part in grid):
        return grid
    pointers = [part.get("xpointer", "") for part in grid if part.tag.rpartition("}")[2] == "include"]
    for pointer in pointers:
        found = _pointed(domain, pointer)
        if found is not None:
            return found
    meshes = [g for g in domain.iter("Grid") if any(part.tag in _MESH for part in g)]
    if len(meshes) == 1 or not pointers:
        return meshes[-1] if meshes else grid
    raise MeshFileError(f"Expected a frame that includes a mesh of its file (got {', '.join(pointers)!r})")


def _pointed(domain: Element, pointer: str) -> Element | None:
    """The first grid of a path such as ``xpointer(/Xdmf/Domain/Grid[@Name='mesh'][1]/*[self::Topology])``."""
    document, root = Element("document"), Element("Xdmf")
    document.append(root)
    root.append(domain)
    inner = re.fullmatch(r"\s*xpointer\((.*)\)\s*", pointer)
    found = [document]
    for into, tag, predicates in _STEP.findall(inner[1].partition("/*")[0] if inner else ""):
        found = [g for here in found for g in _chosen(here, tag, into == "//", _PREDICATE.findall(predicates))]
    return next((g for g in found if any(part.tag in _MESH for part in g)), None)


def _chosen(here: Element, tag: str, anywhere: bool, predicates: list[str]) -> list[Element]:
    inside = list(here.iter(tag)) if anywhere else here.findall(tag)
    for predicate in predicates:
        attribute = _ATTRIBUTE.fullmatch(predicate)
        if attribute:
            inside = [g for g in inside if g.get(attribute[1]) == attribute[3]]
        else:
            inside = inside[int(predicate) - 1 : int(predicate)] if predicate.isdigit() else []
    return inside
