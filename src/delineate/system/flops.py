"""A system costs operations."""

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from delineate.system.system import System


@torch.no_grad()
def count_flops(system: System, image: UInt8[Tensor, "3 h w"]) -> float:
    """Count the network's operations for one picture, as PyTorch does: convolutions and products of matrices."""
    (prepared,) = system.prepare([image])
    counter = FlopCounterMode(display=False)
    learned = [weight for weight in system.model.parameters() if weight.requires_grad]
    for weight in learned:  # the counter follows gradients, and stumbles over views of weights where there are none
        weight.requires_grad_(False)
    with counter, sdpa_kernel(SDPBackend.MATH):  # other kernels of attention are not counted
        system.find(prepared.inputs)
    for weight in learned:
        weight.requires_grad_(True)
    return float(counter.get_total_flops())
