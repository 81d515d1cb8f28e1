"""How results look in a notebook: plain tables, which take the page's own colours, light or dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

__all__ = ["table"]

_CELL = "text-align:left;vertical-align:top;padding:0.15em 1em 0.15em 0"
_LINE = "border-bottom:1px solid rgba(128,128,128,0.5)"


def table(rows: Sequence[Sequence[str]], head: Sequence[str] = (), caption: str = "", below: Sequence[str] = ()) -> str:
    """An HTML table of texts, under a caption, with a head over its columns and lines below it.

    >>> table([("cells", "3 < 4")], caption="a mesh")
    '<div><div><b>a mesh</b></div><table style="border-collapse:collapse">...3 &lt; 4...</table></div>'
    """
    top = f"<div><b>{escape(caption)}</b></div>" if caption else ""
    heads = "".join(f'<th style="{_CELL};{_LINE}">{escape(text)}</th>' for text in head)
    body = "".join(f"<tr>{_cells(row, bool(head))}</tr>" for row in rows)
    lines = "".join(f"<div>{escape(text)}</div>" for text in below)
    whole = f'<table style="border-collapse:collapse">{f"<tr>{heads}</tr>" if head else ""}{body}</table>'
    return f"<div>{top}{whole}{lines}</div>"


def _cells(row: Sequence[str], headed: bool) -> str:
    """Without a head over the columns, the first one tells what a row is."""
    tags = ["td" if headed or k else "th" for k in range(len(row))]
    return "".join(f'<{tag} style="{_CELL}">{escape(text)}</{tag}>' for tag, text in zip(tags, row, strict=True))
