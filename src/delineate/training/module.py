"""One step of training, as Lightning runs it."""

import math
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.optim import Optimizer

from delineate.data.loading import Batch
from delineate.data.preprocess import Preprocess
from delineate.data.sampling import mixed
from delineate.models.contract import Model
from delineate.training.optimisation import learning_rate, make_optimizer
from delineate.training.settings import TrainingSettings
from delineate.training.state import State
from delineate.values import InputError


class TrainingModule(LightningModule):
    """A model, its losses' sum as what is minimised, and the optimizer at the learning rate of the moment.

    Nothing here remembers: what a step does follows from the weights, the optimizer's state and `state`, so a run that
    was killed goes on from these three. `losses` are those of the last batch.
    """

    def __init__(
        self,
        model: Model[Any, Any],
        preprocess: Preprocess,
        settings: TrainingSettings,
        state: State,
    ) -> None:
        super().__init__()
        self.model = model
        self.preprocess = preprocess
        self.settings = settings
        self.state = state
        self.losses: dict[str, float] = {}
        self.optimizer_state: dict[str, Any] | None = None

    def restore(self, weights: dict[str, Tensor], optimizer_state: dict[str, Any]) -> None:
        """Go on from the weights and the optimizer of a saved run."""
        self.model.load_state_dict(weights)
        self.optimizer_state = optimizer_state

    def configure_optimizers(self) -> Optimizer:
        optimizer = make_optimizer(self.model, self.settings)
        if self.optimizer_state is not None:
            optimizer.load_state_dict(self.optimizer_state)
        return optimizer

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        # Lightning's own refuses fused optimizers under autocast, for a loss scaling that bf16 does not have
        if gradient_clip_val is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), gradient_clip_val)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return batch.to(device)

    @property
    def learning_rate(self) -> float:
        return learning_rate(self.settings, self.state.progress(self.settings))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        torch.manual_seed(mixed(self.settings.seed, self.state.epoch, self.state.batch, self.global_rank))
        for group in self.optimizers(use_pl_optimizer=False).param_groups:  # type: ignore[union-attr]
            group["lr"] = self.learning_rate
        images = self.preprocess.normalise(batch.images).contiguous(memory_format=torch.channels_last)
        losses = self.model.loss(images, batch.targets)
        total = torch.stack(list(losses.values())).sum()
        named = {"loss": total, **{f"loss/{name}": loss for name, loss in losses.items() if len(losses) > 1}}
        values = torch.stack(list(named.values())).tolist()  # one wait for the device, not one a loss
        self.losses = dict(zip(named, values, strict=True))
        if not math.isfinite(self.losses["loss"]):
            raise InputError(
                f"the loss is {self.losses['loss']} in epoch {self.state.epoch + 1}, batch {self.state.batch + 1}; "
                f"lower the learning rate, or look at the pictures: {', '.join(batch.files)}"
            )
        return total * self._share()

    def _share(self) -> float:
        """Lightning divides by `accumulate`; the steps at an epoch's end may have fewer batches to average."""
        accumulate, num_batches = self.settings.accumulate, self.state.num_batches
        rest = num_batches % accumulate
        return accumulate / rest if self.state.batch >= num_batches - rest else 1.0
