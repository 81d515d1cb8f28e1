"""`Reaction`: a function r of u, of points and possibly of grad u, and its derivatives with respect to u and grad u."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from meshmove.geometry.errors import MeshmoveError
from meshmove.geometry.given import shown

from ..functions import Array, ProblemError

__all__ = ["ConvergenceError", "NotFiniteError", "Reaction"]

_TINY = 1e-30  # step into the complex plane
_STEP = 6e-6  # of central differences, relative to the size of what is varied
_CLOSE = 1e-4  # derivatives that differ by less from differences, relative to their size, are the same
_WRONG = 1e-2  # a derivative that differs by more from them, at most points, is wrong
_TRIED, _MANY = 200, 20  # points at which that is tried, and so many at least to know it for good
_NAMES = ("u", "ux", "uy")
_FAILURES = (ArithmeticError, AttributeError, IndexError, TypeError, ValueError, RuntimeError)


class NotFiniteError(ProblemError):
    """A reaction or its derivative is not finite for a value of u that was tried."""


class ConvergenceError(MeshmoveError, RuntimeError):
    """Newton's method has found no solution of a semilinear problem: there is none, or none near the start."""


class Reaction:
    """r(u, x) or r(u, x, gradient), and its derivatives.

    Parameters
    ----------
    function
        Of values u (n,), points x (2, n), and, where it takes three arguments, of the gradient (2, n). Its values are
        (n,). It may be written for NumPy or for torch, of tensors.
    derivative
        Of the same arguments: the derivative by u (n,), or (3, n) by u, ux and uy where there is a gradient. By default
        it is found: of functions of tensors by `torch.func`, of others by a step into the complex plane where that
        agrees with differences, else by central differences.

    >>> cubic = Reaction(lambda u, x: u**3 - u)
    >>> u, x = np.array([0.5, 2.0]), np.zeros((2, 2))
    >>> cubic.slopes(np.stack([u, 0 * u, 0 * u]), x)
    array([[-0.25, 11.  ]])
    """

    def __init__(self, function: Callable[..., Any], derivative: Callable[..., Any] | None = None) -> None:
        self.needs_gradient = _arguments(function, "reaction") == 3
        if derivative is not None and (_arguments(derivative, "derivative") == 3) != self.needs_gradient:
            raise ProblemError(
                f"Expected a derivative of the arguments of reaction, {self._words} (got a function of "
                f"{_arguments(derivative, 'derivative')} arguments)"
            )
        self.function, self.derivative = function, derivative
        self.tensors = False  # whether the function is one of tensors: found out at the first call
        self.way = ""  #: how derivatives are found, once they have been: "given" if they are, and have been looked at

    @property
    def _words(self) -> str:
        return "u, x and gradient" if self.needs_gradient else "u and x"

    @property
    def count(self) -> int:
        """How many derivatives there are: by u alone, or by u, ux and uy."""
        return 3 if self.needs_gradient else 1

    def values(self, state: Array, x: Array) -> Array:
        """r (n,) for states u, ux, uy (3, n) at points (2, n); not finite where it is not."""
        return _shaped(self._called(self.function, state[: self.count], x), x.shape[1:], "reaction")

    def slopes(self, state: Array, x: Array) -> Array:
        """Derivatives (1, n) by u, or (3, n) by u, ux and uy."""
        state = state[: self.count]
        if self.derivative is not None:
            self._check(state[:, :_TRIED], x[:, :_TRIED])
            return self._given(state, x)
        way = self.way or self._found(state[:, :_TRIED], x[:, :_TRIED])
        if x.shape[1] >= _MANY:  # at one point, where u may be 0, ways may agree by chance
            self.way = way
        return {"torch.func": self._by_torch, "complex step": self._by_complex}.get(way, self._by_differences)(state, x)

    def _given(self, state: Array, x: Array) -> Array:
        assert self.derivative is not None
        n = x.shape[1]
        found = _shaped(self._called(self.derivative, state, x), (3, n) if self.needs_gradient else (n,), "derivative")
        return found.reshape(self.count, n)

    def _check(self, state: Array, x: Array) -> None:
        """Refuses a derivative that is another than that of the reaction at most points: kinks have none at few."""
        if self.way:
            return
        plain, given = self._by_differences(state, x), self._given(state, x)
        off = np.abs(given - plain) > _WRONG * max(float(np.nanmax(np.abs(plain), initial=0.0)), 1.0)
        if off.any(axis=0).mean() > 0.5:
            i = int(off.any(axis=0).argmax())
            raise ProblemError(
                f"Expected derivative to be that of reaction (got {_few(given[:, i])} for u = {state[0, i]:.4g} at the "
                f"point ({x[0, i]:.4g}, {x[1, i]:.4g}), where difference quotients are {_few(plain[:, i])}); leave it "
                "out, and it is found"
            )
        if x.shape[1] >= _MANY:
            self.way = "given"

    # ---- ways to a derivative
    def _found(self, state: Array, x: Array) -> str:
        if self.tensors:
            return "torch.func"
        plain = self._by_differences(state, x)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", np.exceptions.ComplexWarning)
                steps = self._by_complex(state, x)
        except (*_FAILURES, MeshmoveError, Warning):
            return "differences"
        near = np.abs(steps - plain) <= _CLOSE * max(float(np.abs(plain).max(initial=0.0)), 1e-300)
        return "complex step" if near.all() else "differences"

    def _by_complex(self, state: Array, x: Array) -> Array:
        out = np.empty((len(state), x.shape[1]))
        for i in range(len(state)):
            moved = state.astype(complex)
            moved[i] += 1j * _TINY
            found = np.asarray(self._called(self.function, moved, x, complex))
            out[i] = np.imag(_shaped(found, x.shape[1:], "reaction")) / _TINY
        return out

    def _by_differences(self, state: Array, x: Array) -> Array:
        out = np.empty((len(state), x.shape[1]))
        for i in range(len(state)):
            step = _STEP * max(float(np.abs(state[i]).max(initial=0.0)), 1.0)
            up, down = state.copy(), state.copy()
            up[i] += step
            down[i] -= step
            shape = x.shape[1:]
            ahead, behind = (_shaped(self._called(self.function, s, x), shape, "reaction") for s in (up, down))
            out[i] = (ahead - behind) / (2 * step)
        return out

    def _by_torch(self, state: Array, x: Array) -> Array:
        import torch

        points = torch.as_tensor(x)

        def total(*parts: Any) -> Any:
            found = self.function(parts[0], points, *([torch.stack(parts[1:])] if self.needs_gradient else []))
            return found.sum()

        rates = torch.func.grad(total, argnums=tuple(range(len(state))))(*torch.as_tensor(state))
        return np.stack([r.detach().numpy() for r in rates])

    # ---- calls
    def _called(self, function: Callable[..., Any], state: Array, x: Array, kind: type = float) -> Array:
        """What the user's function returns, by NumPy or, if it takes no arrays, by torch."""
        more = [state[1:3].copy()] if self.needs_gradient else []
        with np.errstate(all="ignore"):  # what is not finite is said by name, or stepped back from
            if not self.tensors:
                try:
                    found = np.asarray(function(state[0].copy(), x.copy(), *more))
                except _FAILURES as why:
                    if kind is complex or not self._takes_tensors(function, state, x):
                        raise ProblemError(
                            f"Expected {_named(function, self)} to take u of shape ({x.shape[1]},), x of shape "
                            f"{x.shape}{self._and_gradient} (it raised {type(why).__name__}: {why})"
                        ) from why
                else:
                    return _numbers(found, kind, _named(function, self))
            import torch

            arrays = [torch.as_tensor(a) for a in (state[0].copy(), x.copy(), *more)]
            return torch.as_tensor(function(*arrays)).detach().numpy()

    @property
    def _and_gradient(self) -> str:
        return " and the gradient of the same shape" if self.needs_gradient else ""

    def _takes_tensors(self, function: Callable[..., Any], state: Array, x: Array) -> bool:
        try:
            import torch

            more = [torch.as_tensor(state[1:3])] if self.needs_gradient else []
            found = function(torch.as_tensor(state[0]), torch.as_tensor(x), *more)
        except (ImportError, *_FAILURES):
            return False
        self.tensors = isinstance(found, torch.Tensor)
        return self.tensors


def _named(function: Callable[..., Any], reaction: Reaction) -> str:
    return "reaction" if function is reaction.function else "derivative"


def _numbers(found: Array, kind: type, what: str) -> Array:
    """As floats, or as complex numbers where these are asked for."""
    if found.dtype.kind not in ("fiubc" if kind is complex else "fiub"):
        words = {"c": "complex numbers", "O": f"objects such as {shown(found.ravel()[0])}" if found.size else "nothing"}
        got = words.get(found.dtype.kind, f"an array of {found.dtype}")
        raise ProblemError(f"Expected real numbers from {what} (got {got})")
    return found.astype(kind)


def _few(values: Array) -> str:
    return ", ".join(f"{v:.4g}" for v in values)


def _arguments(function: Any, what: str) -> int:
    """2 or 3: how many arguments a function takes."""
    if not callable(function):
        raise ProblemError(
            f"Expected {what} as a function of u and x, or of u, x and gradient (got {shown(function)}); for example "
            "lambda u, x: u**3 - u, or lambda u, x, gradient: u * gradient[0]"
        )
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # built-in functions do not tell
        return 2
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p for p in places if p.default is p.empty]
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return 3 if len(needed) == 3 else 2
    if len(needed) > 3 or len(places) < 2:
        raise ProblemError(
            f"Expected {what} of two arguments u, x, or of three, u, x, gradient (got one of "
            f"{', '.join(p.name for p in parameters) or 'none'}); what depends on x alone is a source"
        )
    return 3 if len(needed) == 3 else 2


def _shaped(found: Array, shape: tuple[int, ...], what: str) -> Array:
    """A float copy of what was returned, spread over the points."""
    flat = len(shape) == 1
    fits = found.shape in (((), (1,), shape, (1, *shape)) if flat else (shape, (3, 1), (3,)))
    if not fits:
        of = "one for each value of u" if flat else f"the derivatives by {', '.join(_NAMES)} at each point"
        asked = f"u of shape {shape[-1:]} and x of shape (2, {shape[-1]})"
        raise ProblemError(f"Expected values of shape {shape}, {of}, from {what} of {asked} (got shape {found.shape})")
    if not flat and found.shape == (3,):
        found = found[:, None]
    return np.array(np.broadcast_to(found.reshape(-1) if flat else found, shape))
