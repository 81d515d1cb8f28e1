"""Reading what users hand over: whatever comes, the error says what was expected and what came."""

from .numbers import as_float, count, number, shown
from .values import answered, as_numbers, called, integers, real
from .words import as_list, by_name, chosen, generator, names, path_of

__all__ = [
    "answered",
    "as_float",
    "as_list",
    "as_numbers",
    "by_name",
    "called",
    "chosen",
    "count",
    "generator",
    "integers",
    "names",
    "number",
    "path_of",
    "real",
    "shown",
]
