"""Everything that a training run depends on, as one value; the command line is made from it."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from delineate.io.machine import num_cores
from delineate.system.catalog import CATALOG
from delineate.values import InputError

Panel = Literal["Data", "Budget", "Optimisation", "Weights", "Augmentation", "Machine", "Run"]

DEFAULT_EPOCHS = 50
LEARNING_RATES = {"adamw": 1e-3, "sgd": 0.03}
WEIGHT_DECAYS = {"adamw": 0.02, "sgd": 5e-4}


def _field(panel: Panel, default: Any, description: str, **limits: Any) -> Any:
    return Field(default, description=description, json_schema_extra={"panel": panel}, **limits)


class TrainingSettings(BaseModel):
    """What is trained on what, for how long, and how. `settings.json` of a run holds all of it.

    What is not given is the recipe of the system in the catalog, or else the default here.

    Raises `InputError` for a value that is out of range or unknown, one line that names each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model: str = _field("Data", ..., "Name of the system; `delineate models` lists them.")
    data: Path = _field("Data", ..., "Folder (or COCO .json) of labelled pictures.")
    arguments: dict[str, Any] = _field("Data", {}, "The system's own options, such as its backbone.")
    format: str | None = _field(
        "Data", None, "Layout of the data: coco, voc, yolo, mask_folder; found out if not given."
    )
    train_split: str = _field("Data", "train", "Split to train on.")
    val_split: str = _field("Data", "val", "Split to validate on; where there is none, 15 % of the training split.")
    skip_unreadable: bool = _field(
        "Data", False, "Skip pictures that cannot be read, and count them, instead of stopping."
    )

    epochs: int | None = _field("Budget", None, f"Times through the data; {DEFAULT_EPOCHS} without --minutes.", ge=1)
    minutes: float | None = _field(
        "Budget", None, "Time to train for; validation, saving and fitting (SVMs) come on top.", gt=0
    )
    early_stopping: int | None = _field("Budget", None, "Stop after this many validations without a better one.", ge=1)
    val_every: int | None = _field(
        "Budget",
        None,
        "Epochs between validations, 0 for none; if not given 1, and with --minutes as many as cost a tenth more.",
        ge=0,
    )

    batch_size: int = _field("Optimisation", 8, "Pictures in a step, on each device.", ge=1)
    accumulate: int = _field("Optimisation", 1, "Batches whose gradients are averaged for a step.", ge=1)
    optimizer: Literal["adamw", "sgd"] = _field("Optimisation", "adamw", "AdamW, or SGD with Nesterov momentum 0.9.")
    learning_rate: float | None = _field(
        "Optimisation",
        None,
        f"Highest learning rate; {LEARNING_RATES['adamw']} for adamw, {LEARNING_RATES['sgd']} for sgd.",
        gt=0,
    )
    weight_decay: float | None = _field(
        "Optimisation",
        None,
        f"Weight decay, not of biases and norms; {WEIGHT_DECAYS['adamw']} for adamw, {WEIGHT_DECAYS['sgd']} for sgd.",
        ge=0,
    )
    schedule: Literal["cosine", "poly", "constant"] = _field("Optimisation", "cosine", "How the learning rate falls.")
    warmup: float = _field("Optimisation", 0.05, "Share of the run in which the learning rate rises.", ge=0, lt=1)
    clip_gradient: float | None = _field("Optimisation", 1.0, "Largest norm of the gradient.", gt=0)
    ema: float | None = _field(
        "Optimisation", 0.998, "Decay of the weights' moving average, which is what is kept.", gt=0, lt=1
    )
    class_weights: Literal["none", "median_frequency"] = _field(
        "Optimisation", "none", "Weigh rare classes higher (Eigen & Fergus 2015), or not."
    )

    pretrained: bool = _field("Weights", False, "Begin with timm's ImageNet weights of the backbone; this downloads.")
    backbone_weights: Path | None = _field(
        "Weights", None, "Begin with the backbone of this .safetensors or .pth file."
    )
    weights: Path | None = _field(
        "Weights", None, "Begin with this run (or .safetensors file) and its options; what does not fit begins anew."
    )
    freeze_until: int | None = _field("Weights", None, "Keep the backbone's stages 0 to this one as they are.", ge=0)

    short_side: int | None = _field(
        "Augmentation", None, "Resize pictures to this shorter side, here and in use.", ge=1
    )
    long_side: int | None = _field("Augmentation", None, "... as long as the longer side stays below this.", ge=1)
    crop_size: tuple[int, int] | None = _field(
        "Augmentation", None, "Height and width to train on; the usual picture's, at most 512, if not given."
    )
    augment: Literal["scale", "ssd"] = _field(
        "Augmentation",
        "scale",
        "scale: windows of --crop-size at --scale; ssd: distorted colours, zoom-out, crops that overlap objects.",
    )
    scale: tuple[float, float] = _field(
        "Augmentation", (0.75, 1.33), "Smallest and largest factor of the random resize."
    )
    multi_scale: bool = _field(
        "Augmentation",
        False,
        "Another size for each batch, in steps of 32 pixels from 0.75 to 1.5 times the usual (YOLOv2, section 2).",
    )
    flip: float = _field("Augmentation", 0.5, "Probability of a mirrored picture.", ge=0, le=1)
    colour: float = _field(
        "Augmentation", 0.3, "Strength of the random change of brightness, contrast, saturation.", ge=0, le=1
    )

    device: Literal["auto", "cpu", "cuda"] = _field(
        "Machine", "auto", "Where to train; auto takes CUDA where there is one."
    )
    devices: int = _field("Machine", 1, "Devices (processes) on each machine.", ge=1)
    num_nodes: int = _field("Machine", 1, "Machines.", ge=1)
    precision: Literal["auto", "fp32", "bf16"] = _field(
        "Machine", "auto", "Numbers to compute with; auto: bf16 on CUDA, and on CPUs with instructions for it."
    )
    workers: int | None = _field(
        "Machine", None, "Processes that read pictures; half the cores, 8 at most, if not given.", ge=0
    )

    out: Path | None = _field("Run", None, "The run's folder; runs/MODEL-1, -2, ... if not given.")
    seed: int = _field("Run", 0, "Of weights, order and augmentation.", ge=0)

    def __init__(self, **values: Any) -> None:
        entry = CATALOG.get(values.get("model", ""))
        try:
            super().__init__(**{**(entry.recipe if entry else {}), **values})
        except ValidationError as error:
            raise InputError("; ".join(_line(problem) for problem in error.errors())) from None

    @model_validator(mode="after")
    def _check(self) -> "TrainingSettings":
        if self.epochs and self.minutes:
            raise ValueError("epochs and minutes are both given; choose one budget")
        if self.early_stopping and self.val_every == 0:
            raise ValueError("early_stopping counts validations, and val_every is 0; give one of them another value")
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"scale {self.scale} is not smallest and largest, both above 0")
        if sum(map(bool, (self.pretrained, self.backbone_weights, self.weights))) > 1:
            raise ValueError("of pretrained, backbone_weights and weights, more than one is given; choose one")
        return self

    @property
    def num_epochs(self) -> int | None:
        """The budget in epochs, `None` where it is in minutes."""
        return None if self.minutes else self.epochs or DEFAULT_EPOCHS

    @property
    def peak_learning_rate(self) -> float:
        return self.learning_rate if self.learning_rate is not None else LEARNING_RATES[self.optimizer]

    @property
    def decay(self) -> float:
        return self.weight_decay if self.weight_decay is not None else WEIGHT_DECAYS[self.optimizer]

    @property
    def num_workers(self) -> int:
        if self.workers is not None:
            return self.workers
        return max(1, min(8, num_cores() // 2))


def _line(problem: Any) -> str:
    name = ".".join(str(part) for part in problem["loc"])
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "missing":
        return f"{name}: is needed"
    return f"{name}: {message}, not {problem['input']!r}" if name else message
