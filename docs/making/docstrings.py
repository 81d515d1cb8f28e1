"""Docstrings as Markdown: an extension of griffe, by which mkdocstrings reads the package."""

from __future__ import annotations

import re
from typing import Any

import griffe

__all__ = ["Markdown", "markdown"]

_INLINE = re.compile(r":math:`([^`]+)`", re.DOTALL)
_BLOCK = re.compile(
    r"^(?P<indent> *)\.\. math::(?P<first>[^\n]*)\n(?P<rest>(?:(?:(?P=indent) +[^\n]*)?\n)*)", re.MULTILINE
)
_ROLE = re.compile(r":\w+:`~?([^`]+)`")
#: examples that stand below the text, or in a section of arguments, without a heading of their own
_EXAMPLE = re.compile(r"(?<=\n\n)(?P<code>>>> .*?(?:\n\n|\Z))", re.DOTALL)
_RETURNS = re.compile(r"^Returns\n-+\n(?P<text>(?:[^\n]+(?:\n|\Z))+)", re.MULTILINE)
_HEADED = re.compile(r"^Examples\n-+\n", re.MULTILINE)


def markdown(text: str) -> str:
    r"""Formulas between dollars instead of Sphinx's roles and directives.

    >>> markdown("The flux :math:`k u_x` of `u`.")
    'The flux $k u_x$ of `u`.'
    >>> print(markdown(".. math:: a = b\n\nWhere."))
    $$
    a = b
    $$
    <BLANKLINE>
    Where.
    """

    def block(found: re.Match[str]) -> str:
        lines = [line.strip() for line in (found["first"], *found["rest"].splitlines())]
        return "\n".join(found["indent"] + line for line in ("$$", *filter(None, lines), "$$")) + "\n\n"

    return _ROLE.sub(r"`\1`", _INLINE.sub(r"$\1$", _BLOCK.sub(block, text + "\n"))).rstrip()


def sectioned(text: str) -> str:
    """With the heading that numpydoc wants before examples, and sentences on what is returned not taken for a type."""
    text = _RETURNS.sub(_described, text)
    if ">>> " not in text or _HEADED.search(text):
        return text
    return _EXAMPLE.sub(lambda found: f"Examples\n--------\n{found['code']}", text, count=1)


def _described(found: re.Match[str]) -> str:
    lines = found["text"].splitlines()
    if any(line.startswith(" ") for line in lines):
        return found[0]
    if len(lines) == 1 and " " not in lines[0]:
        return ""  # no more than the signature says
    return "Returns\n-------\n:\n" + "".join(f"    {line}\n" for line in lines)


class Markdown(griffe.Extension):
    """Rewrites every docstring that is read."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = sectioned(markdown(obj.docstring.value))
