"""Processes that share a run, on one machine or on several (Lightning Fabric)."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

__all__ = ["check_launched", "fabric_of", "first_says", "is_first", "spread"]

T = TypeVar("T")
P = TypeVar("P")


def fabric_of(devices: int, accelerator: str, strategy: str | None = None, nodes: int = 1) -> Any:
    """Launched processes that share the work: one for each of the `devices` of each of the `nodes`.

    On one machine they are started here, unless torchrun, srun or mpiexec did. Processors talk by gloo, GPUs by NCCL.

    Raises
    ------
    ImportError
        Without lightning-fabric.
    ValueError
        A launcher started another number of processes, or several nodes have none.
    """
    check_launched(devices, nodes)
    try:
        from lightning.fabric import Fabric
    except ImportError:
        try:
            from lightning_fabric import Fabric
        except ImportError as error:
            raise ImportError("Training needs lightning-fabric: pip install 'meshmove[train]'") from error
    strategy = strategy or ("ddp" if devices * nodes > 1 else "auto")
    fabric = Fabric(accelerator=accelerator, devices=devices, num_nodes=nodes, strategy=strategy)
    fabric.launch()
    atexit.register(leave)
    return fabric


def leave() -> None:
    """Close this process's connections while its threads still run: left to the interpreter, gloo may hang or crash."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def check_launched(devices: int, nodes: int = 1) -> None:
    """Raise ValueError unless there is a process for each device, or none was started yet and this can be done.

    >>> check_launched(4)
    >>> check_launched(4, nodes=2)
    Traceback (most recent call last):
    ValueError: Expected processes on 2 nodes, started by torchrun or srun (got one that was started by itself)
    """
    if devices < 1 or nodes < 1:
        raise ValueError(f"Expected one device and one node at least (got {devices} devices on {nodes} nodes)")
    if "TORCHELASTIC_RUN_ID" in os.environ:
        launcher, started = "torchrun", int(os.environ["WORLD_SIZE"])
    elif "SLURM_STEP_NUM_TASKS" in os.environ:
        launcher, started = "srun", int(os.environ["SLURM_STEP_NUM_TASKS"])
    elif "OMPI_COMM_WORLD_SIZE" in os.environ:
        launcher, started = "mpiexec", int(os.environ["OMPI_COMM_WORLD_SIZE"])
    elif nodes > 1 and not {"MASTER_ADDR", "NODE_RANK"} <= os.environ.keys():
        raise ValueError(
            f"Expected processes on {nodes} nodes, started by torchrun or srun (got one that was started by itself)"
        )
    else:
        return
    if started != devices * nodes:
        raise ValueError(
            f"Expected a process for each device, {nodes} x {devices} (got {started}, started by {launcher}): "
            "the number of nodes times that of devices has to be the number of processes"
        )


def is_first() -> bool:
    """Whether this process is the one that speaks and writes."""
    shared = torch.distributed.is_available() and torch.distributed.is_initialized()
    return not shared or torch.distributed.get_rank() == 0


def first_says(fabric: Any, found: Callable[[], T]) -> T:
    """What the first process finds, on all of them; where it raises, all raise."""
    if fabric.world_size == 1:
        return found()
    value, failed = None, None
    if fabric.is_global_zero:
        try:
            value = found()
        except Exception as error:
            failed = error
    value, failed = fabric.broadcast((value, failed))
    if failed is not None:
        raise failed
    return value


def spread(fabric: Any, parts: Sequence[P], measure: Callable[[P], Tensor]) -> Tensor:
    """Measures (k, n) of parts of the held-out samples, side by side in the order of the parts.

    Each process measures every so many-th part, and all get all, so that they agree to the bit on what comes of it.
    """
    world = fabric.world_size
    mine = [measure(part).detach().cpu() for part in parts[fabric.global_rank :: world]]
    if world == 1:
        return torch.cat(mine, dim=1)
    shares: list[Any] = [None] * world
    torch.distributed.all_gather_object(shares, mine)
    return torch.cat([shares[i % world][i // world] for i in range(len(parts))], dim=1)
