"""Every system by its name: one explicit dictionary, from name to preset."""

import difflib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from delineate.models.contract import Model
from delineate.models.dense.fcn import fcn8s, fcn16s, fcn32s
from delineate.models.dense.full_resolution import fcn_full_resolution
from delineate.models.dense.segnet import segnet, segnet_basic
from delineate.models.dense.sliding_window import sliding_window_segmenter
from delineate.models.dense.unet import unet
from delineate.structures import InputError

Task = Literal["segment"]


@dataclass(frozen=True)
class System:
    """A preset with what a reader wants to know of it."""

    preset: Callable[..., Model[Any, Any]]
    task: Task
    title: str
    paper: str


CATALOG: dict[str, System] = {
    "sliding_window_segmenter": System(
        sliding_window_segmenter,
        "segment",
        "a patch classifier at every window, or its fully convolutional form with the same weights",
        "Farabet et al. 2013, Learning hierarchical features for scene labeling",
    ),
    "fcn_full_resolution": System(
        fcn_full_resolution,
        "segment",
        "a stack of convolutions that never downsample",
        "the baseline that encoder-decoders improve on",
    ),
    "fcn32s": System(fcn32s, "segment", "scores at stride 32, upsampled at once", "Long et al. 2015, FCN, section 4"),
    "fcn16s": System(fcn16s, "segment", "FCN-32s with a skip from stride 16", "Long et al. 2015, FCN, section 4"),
    "fcn8s": System(fcn8s, "segment", "FCN-16s with a skip from stride 8", "Long et al. 2015, FCN, section 4"),
    "segnet": System(
        segnet,
        "segment",
        "VGG-16 encoder and its mirror, fed by the encoder's max-pooling indices",
        "Badrinarayanan et al. 2017, SegNet, section 3",
    ),
    "segnet_basic": System(
        segnet_basic,
        "segment",
        "four encoders and four decoders of one 7x7 convolution each",
        "Badrinarayanan et al. 2017, SegNet, section 3.1",
    ),
    "unet": System(
        unet,
        "segment",
        "contracting and expanding path joined by concatenated skips",
        "Ronneberger et al. 2015, U-Net, section 2",
    ),
}


def find_system(name: str) -> System:
    """The system of that name; raises `InputError` with the nearest names."""
    if name not in CATALOG:
        near = difflib.get_close_matches(name, CATALOG, n=3) or list(CATALOG)
        raise InputError(
            f"model: '{name}' is not in the catalog; near: {', '.join(near)} (`delineate models` lists all)"
        )
    return CATALOG[name]


def options(name: str) -> dict[str, inspect.Parameter]:
    """The arguments of a system's preset, but for `num_classes`, which the data gives."""
    parameters = inspect.signature(find_system(name).preset).parameters
    return {key: parameter for key, parameter in parameters.items() if key != "num_classes"}


def build(name: str, *, num_classes: int, **arguments: Any) -> Model[Any, Any]:
    """A freshly initialised system; raises `InputError` for an unknown name or argument."""
    unknown = sorted(set(arguments) - set(options(name)))
    if unknown:
        raise InputError(f"{name}: has no option {', '.join(unknown)}; it has {', '.join(options(name))}")
    return find_system(name).preset(num_classes=num_classes, **arguments)
