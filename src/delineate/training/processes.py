"""Processes that torchrun or SLURM started train together, as those do that `--devices` starts.

Lightning's own SLURMEnvironment is not used: it refuses jobs without `--ntasks-per-node`, and waits without end for
tasks that a batch script asked for and never started by `srun`.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lightning.fabric import Fabric
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from torch import distributed

from delineate.training.runs import Run
from delineate.training.settings import TrainingSettings
from delineate.values import InputError

INTERACTIVE = ("bash", "interactive")
"""Names that SLURM gives to jobs which are a shell."""
FIRST_PORT = 15_000


@dataclass(frozen=True)
class Launch:
    """A launcher started `devices` processes on each of `num_nodes` machines, of which this is one."""

    launcher: str
    devices: int
    num_nodes: int


def find_launch() -> Launch | None:
    """Find out by the environment what started this process; `None` where it stands alone.

    Raises `InputError` where machines have different numbers of processes.
    """
    if {"LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"} <= os.environ.keys():
        per_node, total = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
        return _even("torchrun", total, -(-total // per_node))
    total, num_nodes = (
        _of_step("SLURM_NTASKS", "SLURM_STEP_NUM_TASKS"),
        _of_step("SLURM_NNODES", "SLURM_STEP_NUM_NODES"),
    )
    if total == 1 or not _by_srun():  # a task that is alone starts others itself, by --devices
        return None
    return _even("SLURM", total, num_nodes)


def as_launched(settings: TrainingSettings) -> TrainingSettings:
    """Set the numbers of devices and of machines to what was started; raises `InputError` where they are others."""
    launch = find_launch()
    found = {name: getattr(launch, name, 1) for name in ("devices", "num_nodes")}
    given = {name: value for name in found if (value := getattr(settings, name)) is not None}
    for name, value in given.items():
        if launch is not None and value != found[name]:
            raise InputError(
                f"{name}: {value}, but {launch.launcher} started processes for {found[name]}; leave it out"
            )
    return settings.model_copy(update=found | given)


def shared_among(settings: TrainingSettings, given: Mapping[str, Any]) -> TrainingSettings:
    """Share the pictures of a batch among as many processes as there are now: those `given`, or started, or as before.

    Each step learns from the same pictures as ever. Raises `InputError` where they cannot be shared evenly.
    """
    launch = find_launch()
    now = {name: given.get(name) or getattr(launch or settings, name) or 1 for name in ("devices", "num_nodes")}
    pictures = settings.batch_size * (settings.devices or 1) * (settings.num_nodes or 1)
    count = now["devices"] * now["num_nodes"]
    if pictures % count:
        raise InputError(
            f"devices: {count} processes cannot share the {pictures} pictures of this run's batches evenly; take a "
            f"number that divides {pictures}"
        )
    return settings.model_copy(update={**now, "batch_size": pictures // count})


def is_of_another_process(error: RuntimeError) -> bool:
    """Tell whether something failed because another process of the training is not there any more."""
    named = isinstance(error, getattr(distributed, "DistError", ()))
    return named or re.search(r"gloo|NCCL|[Cc]onnection (closed|reset) by peer", str(error)) is not None


def unused_tasks(settings: TrainingSettings) -> list[str]:
    """Say where a job has tasks that do not take part."""
    total = _of_step("SLURM_NTASKS", "SLURM_STEP_NUM_TASKS")
    if total == 1 or find_launch() is not None or settings.devices != 1:
        return []
    return [
        f"SLURM: the job has {total} tasks, and one process trains; write `srun` before the command of a batch script, "
        "or begin with `torchrun`"
    ]


def name_ranks() -> None:
    """Say which process this is in the words that Fabric knows, where SLURM has others."""
    launch = find_launch()
    if launch is None or launch.launcher != "SLURM":
        return
    os.environ["LOCAL_RANK"] = os.environ["SLURM_LOCALID"]
    os.environ["NODE_RANK"] = os.environ.get("SLURM_NODEID", "0")
    nodes = os.environ.get("SLURM_STEP_NODELIST") or os.environ.get("SLURM_JOB_NODELIST", "")
    first = SLURMEnvironment.resolve_root_node_address(nodes) if launch.num_nodes > 1 else "127.0.0.1"
    os.environ.setdefault("MASTER_ADDR", first)
    os.environ.setdefault("MASTER_PORT", str(FIRST_PORT + int(os.environ.get("SLURM_JOB_ID", "0")) % 10_000))


def create_run(settings: TrainingSettings, fabric: Fabric) -> Run:
    """Make the run's folder by the first process, which tells all others; those are started here.

    Raises in each process what went wrong in the first one.
    """
    made: Run | Exception | None = None
    if fabric.is_global_zero:
        try:
            made = Run.create(settings)
        except (InputError, OSError) as error:
            if find_launch() is None:  # nobody waits
                raise
            made = error
    fabric.launch()
    made = fabric.broadcast(made)
    if isinstance(made, Exception):
        raise made
    assert made is not None
    return made


def _of_step(of_job: str, of_step: str) -> int:
    return int(os.environ.get(of_step) or os.environ.get(of_job) or 1)


def _by_srun() -> bool:
    """Tell whether `srun` started this, and not a batch script or a shell that has its variables."""
    script = os.environ.get("ENVIRONMENT") == "BATCH" and "SLURM_STEP_ID" not in os.environ
    shell = os.environ.get("SLURM_JOB_NAME") in INTERACTIVE
    return {"SLURM_PROCID", "SLURM_LOCALID"} <= os.environ.keys() and not script and not shell


def _even(launcher: str, total: int, num_nodes: int) -> Launch:
    if total % num_nodes:
        raise InputError(f"{launcher} started {total} processes on {num_nodes} machines; start as many on each of them")
    return Launch(launcher, total // num_nodes, num_nodes)
