"""HyPINO: from a linear problem to its solution: what the hypernetwork writes, and what improves it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from functools import cached_property, reduce
from operator import add
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch

from meshmove.geometry.given import count, shown
from meshmove.learning.weights import WeightsError, read_weights, write_weights
from meshmove.solvers.pde import ProblemError, SemilinearPDE, Statement, several_of
from meshmove.solvers.projection.field import Sum
from meshmove.solvers.solution import Solution
from meshmove.solvers.solution import project as projected

from .emitted import Emitted
from .finetune import finetune as finetuned
from .network import Network, Settings
from .refine import refine as refined
from .space import Space

__all__ = ["HyPINO"]

KIND, FOLDER = "hypino", Path(__file__).parent / "weights"
#: rounds after which no refinement has anything left to do
MOST_ROUNDS = 10_000
MOST_SWEEPS = 1_000  #: the gradients of all are kept


class HyPINO(Network):
    """The hypernetwork as users meet it: problems in, solutions out."""

    @cached_property
    def space(self) -> Space:
        """The network that writes the knots of projection; it ships beside the weights of this one."""
        return Space.from_pretrained()

    def emit(self, problems: Statement | Iterable[Statement], sweeps: int | None = None) -> Emitted:
        """Networks that solve one problem (no axis of a batch) or several, in double precision.

        Called, they take points x of the problems' own coordinates, as a `Solution` does; their `jets` and `features`
        are those in unit coordinates.

        Parameters
        ----------
        problems
            One or several `LinearPDE`; where coefficients vary the network sees their means.
        sweeps
            Of conjugate gradients for the rough solutions that the network corrects, by default as many as in training:
            with more of them answers are better and slower.

        Raises
        ------
        ProblemError
            No problems, or a number of sweeps that is not from 1 to 1,000.
        """
        if sweeps is not None:
            count(sweeps, "sweeps >= 1", low=1, high=MOST_SWEEPS, error=ProblemError)
        several: list[Statement] = [problems] if isinstance(problems, Statement) else list(several_of(problems))
        if not several:
            raise ProblemError("Expected at least one problem (got an empty list)")
        n = self.settings.raster
        units = [problem.unit for problem in several]
        emitted = self.write([unit.means for unit in units], [unit.raster(n) for unit in units], sweeps)
        frame = torch.as_tensor(np.array([(unit.center, unit.half) for unit in units])).to(emitted.lattice)
        emitted = replace(emitted, frame=frame)
        return emitted.select(0) if isinstance(problems, Statement) else emitted

    @overload
    def solve(
        self,
        pde: Statement | SemilinearPDE,
        *,
        refine: int | None = ...,
        finetune: int | None = ...,
        project: bool | str | None = ...,
        tolerance: float = ...,
        effort: float = ...,
        seed: int = ...,
    ) -> Solution: ...
    @overload
    def solve(
        self,
        pde: Iterable[Statement | SemilinearPDE],
        *,
        refine: int | None = ...,
        finetune: int | None = ...,
        project: bool | str | None = ...,
        tolerance: float = ...,
        effort: float = ...,
        seed: int = ...,
    ) -> list[Solution]: ...
    def solve(
        self,
        pde: Statement | SemilinearPDE | Iterable[Statement | SemilinearPDE],
        *,
        refine: int | None = None,
        finetune: int | None = None,
        project: bool | str | None = None,
        tolerance: float = 3e-5,
        effort: float = 1.0,
        seed: int = 0,
    ) -> Solution | list[Solution]:
        """Solve one problem, or each of several, as well as it can be: by projection, unless told otherwise.

        Parameters
        ----------
        pde
            The problem, or several: they are emitted together, and improved one by one. Semilinear ones are projected;
            for a start of their own see `project`.
        refine
            Rounds of refinement; a round that does not help is not kept.
        finetune
            Steps of training the emitted networks on the residual.
        project
            True: least squares over splines and singular functions, on knots that begin where the small network
            `space` writes them; "emitted": over the emitted networks' features as well, which is slower; False: none,
            the emitted networks are the answer. By default True, unless `refine` or `finetune` is given, be it 0.
        tolerance, effort, seed
            See `project`.

        Returns
        -------
        Solution
            Its `history` are those of all the steps, in order.

        Raises
        ------
        ProblemError
            A negative number of rounds or steps, or another value of `project`.

        Examples
        --------
        >>> from meshmove.geometry import Rectangle
        >>> from meshmove.solvers.pde import Dirichlet, LinearPDE
        >>> square = Rectangle((0, 0), (1, 1), name="plate")
        >>> pde = LinearPDE(square, uxx=-1, uyy=-1, source=1.0, conditions={"plate": Dirichlet(0.0)})
        >>> solution = HyPINO(Settings(raster=32, width=32, depths=(1, 1), window=4)).solve(pde)
        >>> solution([[0.5], [0.5]]).shape
        (1,)
        """
        if project is None:
            project = refine is None and finetune is None
        refine, finetune = (0 if n is None else n for n in (refine, finetune))
        count(refine, "rounds of refinement, refine >= 0", high=MOST_ROUNDS, error=ProblemError)
        count(finetune, "steps of finetune >= 0", high=MOST_ROUNDS, error=ProblemError)
        if not (isinstance(project, bool) or (isinstance(project, str) and project == "emitted")):
            raise ProblemError(f'Expected project False, True or "emitted" (got {shown(project)})')
        one = isinstance(pde, Statement | SemilinearPDE)
        problems: list[Any] = [pde] if one else several_of(pde, (Statement, SemilinearPDE))
        alone = project is True and not refine and not finetune
        if not alone and any(isinstance(p, SemilinearPDE) for p in problems):
            raise ProblemError(
                "Expected project=True, without refine or finetune, for a semilinear problem (got another choice): the "
                "hypernetwork reads linear problems"
            )
        options: dict[str, Any] = {"tolerance": tolerance, "effort": effort, "seed": seed}
        if alone:
            solutions: list[Any] = [projected(p, space=self.space, **options) for p in problems]
        else:
            first = self.emit(problems) if problems else None
            solutions = [
                self._improved(p, first.select(i), refine, finetune, project, options)  # type: ignore[union-attr]
                for i, p in enumerate(problems)
            ]
        return solutions[0] if one else solutions

    def _improved(
        self, pde: Statement, first: Emitted, refine: int, finetune: int, project: bool | str, options: dict[str, Any]
    ) -> Solution:
        """The solution that begins with what was written for the problem."""

        def emit(problem: Statement) -> Emitted:
            return first if problem is pde else self.emit(problem)

        field, networks, history = refined(pde, emit, refine)
        steps: list[Any] = list(history)
        how = "emitted" if not refine else f"emitted and refined in {sum(r.kept for r in history) - 1} rounds"
        if finetune:
            whole, more = finetuned(pde, _joined(networks, field.factors), finetune, seed=options["seed"])
            field, networks = Sum((whole,), (1.0,)), [whole]
            steps += more
            how += ", fine-tuned"
        emitted = networks[0] if len(networks) == 1 else _joined(networks, field.factors)
        if project:
            found = projected(pde, emitted if project == "emitted" else None, **options)
            return Solution(
                pde,
                found.field,
                history=(*steps, *found.history),
                estimate=found.error_estimate,
                doubts=found.doubts,
                how=f"{how}, projected",
                emitted=emitted,
            )
        return Solution(pde, field, history=steps, how=how, emitted=emitted)

    def save_pretrained(self, path: str | Path) -> Path:
        """Write the weights and sizes to a safetensors file."""
        return write_weights(path, KIND, asdict(self.settings), self.state_dict())

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path = "hypino-small") -> HyPINO:
        """A model that ships with the package, or one that `save_pretrained` wrote.

        Raises
        ------
        WeightsError
            If there is no such model, or the file is damaged, of another kind or another version.
        """
        settings, tensors = read_weights(name_or_path, KIND, FOLDER)
        sizes = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
        try:
            with torch.random.fork_rng():  # weights are drawn, to be replaced
                model = cls(Settings(**sizes))  # type: ignore[arg-type]
            model.load_state_dict(tensors)
        except (TypeError, RuntimeError) as error:
            raise WeightsError(f"Expected the weights of a HyPINO in {name_or_path} (got others: {error})") from error
        return model.eval()


def _joined(networks: Sequence[Any], factors: Sequence[float]) -> Any:
    return reduce(add, (n * a for n, a in zip(networks, factors, strict=True)))
