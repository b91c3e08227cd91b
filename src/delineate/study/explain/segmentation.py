"""Segmentation is explained by scores by class, how unsure each pixel is, and the path through the upsamplers."""

import torch
from torch import Tensor

from delineate.models.segmentation import Segmenter
from delineate.models.segmentation.upsamplers import Upsampler
from delineate.study.explain.stages import Seen, Stage, strength, watched

MOST_CLASSES, SMALLEST_SHARE = 8, 0.01


def explain_segmentation(seen: Seen, model: Segmenter) -> list[Stage]:
    """Show the maps on their way to full size, each class's scores, the entropy, and the best class of each pixel."""
    upsamplers = [module for module in model.modules() if isinstance(module, Upsampler)]
    with watched(upsamplers) as calls:
        raw = model(*seen.inputs)
    probability = raw.logits[0].float().softmax(0).cpu()
    entropy = -(probability * probability.clamp(min=1e-9).log2()).sum(0)
    names = seen.system.categories.label_map_names
    shares = probability.mean((1, 2))
    shown = [row for row in shares.argsort(descending=True).tolist() if shares[row] >= SMALLEST_SHARE][:MOST_CLASSES]
    stages = []
    if calls:
        stages.append(
            Stage(
                title="The way back to full size",
                line=f"What each {type(calls[0][0]).__name__} makes of the map before it; light is where it answers "
                "strongly.",
                pictures=[
                    (f"{_size(inputs[0])} to {_size(made)}", seen.heat(strength(made))) for _, inputs, made in calls
                ],
            )
        )
    return [
        *stages,
        Stage(
            title="Scores by class",
            line="How likely each pixel is of each class; classes below a hundredth of the picture are left out.",
            pictures=[
                (f"{names[row]}, {float(shares[row]):.0%}", seen.heat(probability[row], high=1.0)) for row in shown
            ],
        ),
        Stage(
            title="How unsure it is",
            line=f"The entropy of each pixel, {float(entropy.mean()):.2f} bits in the mean; it is highest along "
            "borders and where two classes look alike.",
            pictures=[("entropy", seen.heat(entropy, high=float(torch.tensor(float(len(names))).log2())))],
        ),
        Stage(
            title="The best class of each pixel",
            line="And that is the result.",
            pictures=[("label map", seen.drawn(seen.result(raw)))],
        ),
    ]


def _size(level: Tensor) -> str:
    return f"{level.shape[-2]} x {level.shape[-1]}"
