"""Segmentation is explained by scores by class, how unsure each pixel is, and the path through the upsamplers."""

from math import log2

from torch import nn

from delineate.models.segmentation import Segmenter
from delineate.models.segmentation.upsamplers import FixedUpsampler, MaxUnpool, Transposed, Upsampler
from delineate.study.explain.stages import LARGEST_OF_EACH, Explained, Seen, Stage, shape, strength, watched

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
                line=f"What {_named(calls[0][0])} makes of the map before it, step by step; light is where it answers "
                "strongly. Shapes are channels x rows x columns.",
                pictures=[
                    (f"{shape(inputs[0])} to {shape(made)}", seen.heat(strength(made))) for _, inputs, made in calls
                ],
                scale=LARGEST_OF_EACH,
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
            scale="1",
        ),
        Stage(
            title="How unsure it is",
            line=f"The entropy of each pixel, {float(entropy.mean()):.2f} bits in the mean; it is highest along "
            "borders and where two classes look alike.",
            pictures=[("entropy", seen.heat(entropy, high=log2(max(len(names), 2))))],
            scale=f"{log2(max(len(names), 2)):.1f} bits, all classes being as likely",
        ),
        Stage(
            title="The best class of each pixel",
            line="And that is the result.",
            pictures=[("label map", seen.drawn(seen.result(raw)))],
        ),
    ]


def _named(upsampler: nn.Module) -> str:
    match upsampler:
        case Transposed():
            return "a transposed convolution"
        case MaxUnpool():
            return "max unpooling"
        case FixedUpsampler():
            return f"{upsampler.kind.replace('_', ' ')} upsampling"
        case _:
            return "an upsampler"


EXPLAINED: Explained = {Segmenter: explain_segmentation}
