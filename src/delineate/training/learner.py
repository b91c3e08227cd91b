"""A learner is a system with all that training adds to it, on the devices that `lightning.fabric` gives."""

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from lightning.fabric import Fabric
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from torch.optim import Optimizer

from delineate.system.system import System
from delineate.training.optimisation import begin_average, learning_rate, make_optimizer, thaw
from delineate.training.precision import autocast
from delineate.training.processes import name_ranks
from delineate.training.settings import TrainingSettings
from delineate.training.state import State
from delineate.values import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class Learner:
    """A learner holds everything that changes in training, and what changes it.

    What a step does follows from the weights, the optimizer's state and `state` alone, so that a run that was killed
    goes on from these. `network` is the system's model, whose `loss` exchanges gradients with other processes;
    `average` is the system with the moving average of the weights, where there is one.
    """

    settings: TrainingSettings
    state: State
    fabric: Fabric
    system: System
    network: Any  # what `Fabric.setup` makes of a model
    optimizer: Optimizer
    average: System | None

    @property
    def kept(self) -> System:
        """Give the system that is validated, and saved as best and last."""
        return self.system if self.average is None else self.average

    @property
    def learning_rate(self) -> float:
        """Compute the learning rate of the next step."""
        return learning_rate(self.settings, self.state.progress(self.settings))

    def begin_step(self) -> None:
        """Set the learning rates of the next step, and thaw what is due."""
        rate = self.learning_rate
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("share", 1.0)  # earlier versions saved none
        if self.settings.thaw is not None and self.state.progress(self.settings) >= self.settings.thaw:
            thaw(self.system.model)

    def autocast(self) -> AbstractContextManager[Any]:
        """Compute the loss in the precision of the settings."""
        return autocast(self.settings, self.fabric.device, self.system.model)

    def state_dict(self) -> dict[str, Any]:
        """Collect everything that a run needs to go on."""
        return {
            "model": self.system.model.state_dict(),
            "average": None if self.average is None else self.average.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "state": asdict(self.state),
            "categories": asdict(self.system.categories),
            "preprocess": asdict(self.system.preprocess),
        }

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave, but for the state, which a learner is made with.

        Raises `InputError` where an earlier version of this system began, whose layers were others.
        """
        try:
            self.system.model.load_state_dict(saved["model"])
        except RuntimeError as error:
            reason = str(error).splitlines()[1].strip()
            raise InputError(
                f"resume: an earlier delineate began this {self.system.name}, which has other layers now ({reason}); "
                "go on with that one, or train anew"
            ) from error
        self.optimizer.load_state_dict(saved["optimizer"])
        if self.average is not None:
            self.average.model.load_state_dict(saved["average"])


def make_fabric(settings: TrainingSettings, device: torch.device) -> Fabric:
    """Choose the devices and processes that the settings ask for; no process is started yet.

    Raises `InputError` where there are fewer GPUs.
    """
    for name in ("lightning.fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.WARNING)  # they announce devices and processes
    torch.backends.cudnn.benchmark = device.type == "cuda"
    devices, num_nodes = settings.devices or 1, settings.num_nodes or 1
    if settings.thaw is not None and devices * num_nodes > 1:
        raise InputError(
            "thaw: several processes exchange the gradients of what is trained from the start; leave it out"
        )
    if device.type == "cuda" and devices > torch.cuda.device_count():
        raise InputError(
            f"devices: {devices}, of which this process sees {torch.cuda.device_count()}; ask for fewer (with SLURM, "
            "let each task see all of its machine's: --gpu-bind=none)"
        )
    name_ranks()
    return Fabric(
        accelerator="cuda" if device.type == "cuda" else "cpu",
        devices=devices,
        num_nodes=num_nodes,
        strategy="ddp" if devices * num_nodes > 1 else "auto",
        plugins=LightningEnvironment(),
    )


def make_learner(settings: TrainingSettings, state: State, system: System, fabric: Fabric) -> Learner:
    """Put a system on its device, with all that it learns with; other processes are started where they are not yet."""
    fabric.launch()
    model = system.model.to(fabric.device)
    average = replace(system, model=begin_average(model)) if settings.ema else None
    network, optimizer = fabric.setup(model, make_optimizer(model, settings))
    network.mark_forward_method("loss")
    return Learner(
        settings=settings,
        state=state,
        fabric=fabric,
        system=system,
        network=network,
        optimizer=optimizer,
        average=average,
    )
