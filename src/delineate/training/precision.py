"""Which numbers training computes with."""

import torch

from delineate.training.settings import TrainingSettings


def computes_in_bf16(settings: TrainingSettings, device: torch.device) -> bool:
    """What the settings say; `auto` is bfloat16 where the device has instructions for it."""
    if settings.precision != "auto":
        return settings.precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return torch.cpu._is_avx512_bf16_supported()
