"""Everything that a training run depends on is one value; the command line is made from it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from delineate.data.augmentation import Way
from delineate.io.machine import num_cores
from delineate.nn.backbones import PLACE
from delineate.system.catalog import CATALOG, Entry
from delineate.values import InputError, formats, nearest

Panel = Literal["Data", "Budget", "Optimisation", "Weights", "Augmentation", "Machine", "Run"]

DEFAULT_EPOCHS = 50
LEARNING_RATES = {"adamw": 1e-3, "sgd": 0.03}
WEIGHT_DECAYS = {"adamw": 0.02, "sgd": 5e-4}
LONG_FOR_SHORT = 1.66
"""So much longer than the short side that is given the long side of a recipe has to be (the papers' 1333 for 800)."""


def _field(panel: Panel, default: Any, description: str, **limits: Any) -> Any:
    return Field(default, description=description, json_schema_extra={"panel": panel}, **limits)


class TrainingSettings(BaseModel):
    """A run's settings say what is trained on what, for how long, and how; its `settings.json` holds all of them.

    What is not given is the recipe of the system in the catalog, or else the default here. Raises `InputError` for
    values that are out of range or unknown, one line that names each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model: str = _field("Data", ..., "Name of the system; `delineate models` lists them.")
    data: Path = _field("Data", ..., "Folder of labelled pictures, or the .json file of a COCO data set.")
    arguments: dict[str, Any] = _field("Data", {}, "The system's own options, such as its backbone.")
    format: str | None = _field("Data", None, f"Layout of the data: {formats.READ}. Recognised by itself if not given.")
    train_split: str = _field("Data", "train", "Part of the data set to train on.")
    val_split: str = _field(
        "Data", "val", "Part of the data set to validate on; where it is missing, 15 % of the training pictures."
    )
    skip_unreadable: bool = _field(
        "Data", False, "Skip pictures that cannot be read, and count them, instead of stopping."
    )

    max_detections: int | None = _field(
        "Data",
        None,
        "The most objects to find in a picture, saved with the weights; as many as the fullest picture needs, and at "
        "least the system's own number, if not given.",
        ge=1,
    )

    epochs: int | None = _field(
        "Budget",
        None,
        f"How often to go through the training pictures; {DEFAULT_EPOCHS} without --minutes. 0 fits what is fitted "
        "after training (R-CNN's SVMs) to the weights that it begins with.",
        ge=0,
    )
    minutes: float | None = _field(
        "Budget", None, "Minutes to train for; validation, saving and fitting SVMs come on top.", gt=0
    )
    early_stopping: int | None = _field(
        "Budget", None, "Stop after this many validations in a row without a new best one.", ge=1
    )
    val_every: int | None = _field(
        "Budget",
        None,
        "Epochs from one validation to the next; 0 never validates. If not given, 1, or with --minutes as many as keep "
        "validation below a tenth of the training time.",
        ge=0,
    )

    batch_size: int = _field("Optimisation", 8, "Pictures in a batch, on each device.", ge=1)
    accumulate: int = _field("Optimisation", 1, "Batches whose gradients are averaged before each step.", ge=1)
    optimizer: Literal["adamw", "sgd"] = _field("Optimisation", "adamw", "AdamW, or SGD with Nesterov momentum 0.9.")
    learning_rate: float | None = _field(
        "Optimisation",
        None,
        f"Highest learning rate; {LEARNING_RATES['adamw']} for adamw, {LEARNING_RATES['sgd']} for sgd if not given.",
        gt=0,
    )
    backbone_rate: float = _field(
        "Optimisation", 1.0, "The backbone learns at this share of the learning rate.", gt=0, le=1
    )
    layer_decay: float = _field(
        "Optimisation",
        1.0,
        "Each stage of the backbone learns at this share of the rate of the stage behind it.",
        gt=0,
        le=1,
    )
    weight_decay: float | None = _field(
        "Optimisation",
        None,
        "Weight decay of all weights but biases and those of normalisation; "
        f"{WEIGHT_DECAYS['adamw']} for adamw, {WEIGHT_DECAYS['sgd']} for sgd if not given.",
        ge=0,
    )
    schedule: Literal["cosine", "poly", "constant"] = _field(
        "Optimisation",
        "cosine",
        "Curve by which the learning rate falls to zero after --warmup; constant does not fall.",
    )
    warmup: float = _field(
        "Optimisation", 0.05, "Share of the run in which the learning rate rises to its highest value.", ge=0, lt=1
    )
    clip_gradient: float | None = _field(
        "Optimisation", 1.0, "Scale gradients down whose norm is larger than this.", gt=0
    )
    ema: float | None = _field(
        "Optimisation", 0.998, "Keep a moving average of the weights with this decay; it is what is saved.", gt=0, lt=1
    )
    class_weights: Literal["none", "median_frequency"] = _field(
        "Optimisation",
        "none",
        "Whether pixels, or objects, of rare classes count more in the loss (Eigen & Fergus 2015).",
    )
    focal: float = _field(
        "Optimisation",
        0.0,
        "Focal loss of an object's class: the higher this gamma, the less counts what is right already; 2 is usual, 0 "
        "is the log loss (Lin et al. 2017).",
        ge=0,
    )
    sampler: Literal["shuffled", "class_balanced"] = _field(
        "Optimisation",
        "shuffled",
        "Pictures of an epoch. shuffled: each once; class_balanced: as many, those with rare classes more often, up to "
        "the root of how rare they are (LVIS, Gupta et al. 2019).",
    )

    pretrained: Literal["none", "auto", "download"] = _field(
        "Weights",
        "none",
        "Begin with ImageNet weights of the backbone. auto: those that this machine has, in the file or folder that "
        f"{PLACE} names, or in timm's cache; where --backbone is not given, it follows the file. download: timm's.",
    )
    backbone_weights: Path | None = _field(
        "Weights", None, "Begin with the weights of the backbone in this .safetensors or .pth file."
    )
    weights: Path | None = _field(
        "Weights",
        None,
        "Begin with the weights and options of this run or .safetensors file, and train as it was trained; classes and "
        "keypoints go by their names, layers of other shapes begin anew.",
    )
    freeze_until: int | None = _field("Weights", None, "Do not train the backbone's stages 0 to this one.", ge=0)
    thaw: float | None = _field(
        "Weights", None, "Share of the run after which what --freeze-until froze is trained, too.", gt=0, lt=1
    )

    tile: int | None = _field(
        "Augmentation",
        None,
        "Cut pictures into square tiles of this many pixels, which overlap, and train and validate on these, as "
        "`predict --tile` does; objects of which a tile has less than 40 % are ignored there.",
        ge=1,
    )
    short_side: int | None = _field(
        "Augmentation", None, "Resize pictures to this shorter side, in training and in use.", ge=1
    )
    long_side: int | None = _field("Augmentation", None, "Largest longer side after resizing by --short-side.", ge=1)
    crop_size: tuple[int, int] | None = _field(
        "Augmentation",
        None,
        "Height and width to train on; if not given, the usual picture's, at most 640, for label maps 512, or whole "
        "pictures where boxes are shares of them.",
    )
    augment: Way = _field(
        "Augmentation",
        "scale",
        "How pictures are varied. scale: windows of --crop-size after resizing by --scale; yolo: each side moved by up "
        "to a fifth; detr: scaled, half of them after a cut that is made as large; ssd: distorted colours, zoom-out, "
        "crops that overlap objects.",
    )
    scale: tuple[float, float] = _field(
        "Augmentation", (0.75, 1.33), "Smallest and largest factor by which pictures are resized at random."
    )
    multi_scale: bool = _field(
        "Augmentation",
        False,
        "Give each batch another size, in steps of 32 pixels from 0.75 to 1.5 times the usual (YOLOv2, section 2).",
    )
    flip: float = _field("Augmentation", 0.5, "Probability of mirroring a picture left to right.", ge=0, le=1)
    colour: float = _field(
        "Augmentation", 0.3, "Strength of random changes of brightness, contrast and saturation.", ge=0, le=1
    )

    mosaic: float = _field(
        "Augmentation", 0.0, "Probability of a picture made of windows of four. For detectors only.", ge=0, le=1
    )
    mixup: float = _field(
        "Augmentation", 0.0, "Probability of showing two pictures at once. For detectors only.", ge=0, le=1
    )
    copy_paste: float = _field(
        "Augmentation",
        0.0,
        "Probability of pasting objects of another picture, by their masks. For systems that learn masks.",
        ge=0,
        le=1,
    )
    rotate: float = _field("Augmentation", 0.0, "Largest angle in degrees by which pictures are turned.", ge=0, le=180)
    shear: float = _field("Augmentation", 0.0, "Largest angle in degrees by which pictures lean.", ge=0, le=45)
    blur: float = _field("Augmentation", 0.0, "Probability of blurring a picture.", ge=0, le=1)
    elastic: float = _field(
        "Augmentation",
        0.0,
        "Standard deviation of random displacements, as a share of the sides, that bend pictures (U-Net, section 3.1). "
        "For segmentation only.",
        ge=0,
        le=0.2,
    )

    device: Literal["auto", "cpu", "cuda"] = _field(
        "Machine", "auto", "Where to train; auto takes a CUDA GPU if there is one."
    )
    devices: int | None = _field(
        "Machine",
        None,
        "How many devices of each machine train together, one process each; if not given, as many as torchrun or SLURM "
        "started, or else 1.",
        ge=1,
    )
    num_nodes: int | None = _field(
        "Machine", None, "How many machines train together; found like --devices if not given.", ge=1
    )
    precision: Literal["auto", "fp32", "bf16"] = _field(
        "Machine", "auto", "Numbers to compute with; auto takes bf16 where the device has instructions for it."
    )
    workers: int | None = _field(
        "Machine", None, "How many processes read pictures; half the cores, at most 8, if not given.", ge=0
    )

    out: Path | None = _field("Run", None, "Folder to write the run to; runs/MODEL-1, -2, ... if not given.")
    seed: int = _field("Run", 0, "Seed of the weights, the order and the augmentation.", ge=0)
    logger: Literal["tensorboard", "wandb", "mlflow"] = _field(
        "Run",
        "tensorboard",
        "Where the numbers of steps and epochs go: to TensorBoard's files in the run, and beside these to Weights & "
        "Biases or MLflow, as their environment variables say.",
    )

    def __init__(self, **values: Any) -> None:
        entry = CATALOG.get(values.get("model", ""))
        recipe = _recipe(entry, values) if entry else {}
        try:
            super().__init__(**recipe, **values)
        except ValidationError as error:
            raise InputError("; ".join(_line(problem) for problem in error.errors())) from None
        self.model_fields_set.difference_update(recipe)  # what is set is what was given

    @field_validator("pretrained", mode="before")
    @classmethod
    def _of_earlier(cls, value: Any) -> Any:
        """Read what earlier versions saved."""
        return {True: "download", False: "none"}[value] if isinstance(value, bool) else value

    @model_validator(mode="after")
    def _check(self) -> "TrainingSettings":
        if self.epochs is not None and self.minutes:
            raise ValueError("epochs and minutes are both given; choose one budget")
        if self.early_stopping and self.val_every == 0:
            raise ValueError("early_stopping counts validations, and val_every is 0; give one of them another value")
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"scale {self.scale} is not smallest and largest, both above 0")
        if self.thaw is not None and self.freeze_until is None:
            raise ValueError("thaw: nothing is frozen; add freeze_until, or leave it out")
        if sum(map(bool, (self.pretrained != "none", self.backbone_weights, self.weights))) > 1:
            raise ValueError("of pretrained, backbone_weights and weights, more than one is given; choose one")
        return self

    @property
    def num_epochs(self) -> int | None:
        """Give the budget in epochs, `None` where it is in minutes."""
        if self.minutes:
            return None
        return DEFAULT_EPOCHS if self.epochs is None else self.epochs

    @property
    def peak_learning_rate(self) -> float:
        return self.learning_rate if self.learning_rate is not None else LEARNING_RATES[self.optimizer]

    @property
    def decay(self) -> float:
        return self.weight_decay if self.weight_decay is not None else WEIGHT_DECAYS[self.optimizer]

    @property
    def num_workers(self) -> int:
        return self.workers if self.workers is not None else max(1, min(8, num_cores() // 2))


def _recipe(entry: Entry, values: Mapping[str, Any]) -> dict[str, Any]:
    """Choose the defaults of a system: those of fine-tuning come first where its backbone begins with weights."""
    begins = (
        any(values.get(name) for name in ("backbone_weights", "weights")) or values.get("pretrained", "none") != "none"
    )
    recipe = {**entry.recipe, **(entry.fine_tuning if begins else {})}
    given = values.get("short_side")
    if isinstance(given, int) and recipe.get("long_side", 0) < LONG_FOR_SHORT * given:
        recipe.pop("long_side", None)  # it would limit what is given
    return {name: value for name, value in recipe.items() if name not in values}


def _line(problem: Any) -> str:
    name = ".".join(str(part) for part in problem["loc"])
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "missing":
        return f"{name}: is needed"
    if problem["type"] == "extra_forbidden":
        near = nearest(name, TrainingSettings.model_fields)
        return f"{name}: there is no such setting" + (f"; did you mean {' or '.join(near)}?" if near else "")
    return f"{name}: {message}, not {problem['input']!r}" if name else message
