"""From settings to a system and the batches that it trains on."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from delineate.data.anchors import find_anchors
from delineate.data.dataset import Dataset
from delineate.data.loading import TrainingLoader, training_loader
from delineate.data.preprocess import Preprocess
from delineate.data.transforms import Augmentation, training_transform
from delineate.models.one_stage import YOLOv2
from delineate.models.one_stage.yolov2 import STRIDE
from delineate.models.segmentation import Segmenter
from delineate.models.two_stage.heads.box import BoxHead
from delineate.nn.backbones import Backbone, load_backbone_weights, read_weights
from delineate.system.catalog import build
from delineate.system.checkpoint import Checkpoint, find_checkpoint, load_checkpoint
from delineate.training.data import median_frequency_weights, usual_size
from delineate.training.settings import TrainingSettings
from delineate.values import InputError

SCALE_STEP = 32


def build_system(settings: TrainingSettings, dataset: Dataset, notes: list[str], *, fresh: bool) -> Checkpoint:
    """The system before its first step, in training mode; what there is to say of it is added to `notes`.

    When it is not `fresh`, other weights will take the place of these, so that none have to be read. Raises
    `InputError` for a backbone's options where there is no backbone, and for earlier weights of which none fits.
    """
    torch.manual_seed(settings.seed)
    model = build(settings.model, dataset.categories, **settings.arguments)
    preprocess = _preprocess(settings, model.input_size)
    if fresh and isinstance(model, YOLOv2) and settings.weights is None:  # else the earlier run's
        found = find_anchors(dataset, preprocess, len(model.anchors), skip_unreadable=settings.skip_unreadable)
        model.anchors.copy_(found.sizes / STRIDE)
        notes.append(f"anchors: {found.described}; their mean IoU with the training boxes is {found.mean_iou:.3f}")
    backbones = [module for module in model.modules() if isinstance(module, Backbone)]
    if not backbones and (settings.pretrained or settings.backbone_weights or settings.freeze_until is not None):
        raise InputError(f"{settings.model} has no backbone: leave out pretrained, backbone_weights and freeze_until")
    for backbone in backbones:
        if fresh and settings.pretrained:
            load_backbone_weights(backbone, backbone.imagenet_weights(), "pretrained")
        if settings.pretrained:
            preprocess = replace(preprocess, **backbone.imagenet_statistics())
        if fresh and settings.backbone_weights:
            load_backbone_weights(backbone, read_weights(settings.backbone_weights), str(settings.backbone_weights))
        if settings.freeze_until is not None:
            backbone.freeze_until(settings.freeze_until)
    if settings.weights is not None:
        earlier = read_earlier(settings.weights)
        preprocess = replace(preprocess, mean=earlier.preprocess.mean, std=earlier.preprocess.std)
        if fresh:
            notes.append(begin_with(model, earlier, str(settings.weights)))
    if settings.class_weights != "none" and not isinstance(model, Segmenter):
        raise InputError(f"class_weights: {settings.model} weighs no pixels; leave it out")
    if fresh and settings.class_weights == "median_frequency" and isinstance(model, Segmenter):
        model.class_weights.copy_(median_frequency_weights(dataset, skip_unreadable=settings.skip_unreadable))
    return Checkpoint(
        model=model.to(memory_format=torch.channels_last).train(),
        system=settings.model,
        arguments=settings.arguments,
        categories=dataset.categories,
        preprocess=preprocess,
    )


def _preprocess(settings: TrainingSettings, input_size: tuple[int, int] | None) -> Preprocess:
    given = [name for name in ("short_side", "long_side", "crop_size") if getattr(settings, name) is not None]
    if input_size is not None and given:
        size = " x ".join(map(str, input_size))
        raise InputError(f"{given[0]}: {settings.model} resizes every picture to {size}; leave {', '.join(given)} out")
    return Preprocess(short_side=settings.short_side, long_side=settings.long_side, size=input_size)


def as_earlier(settings: TrainingSettings) -> TrainingSettings:
    """The settings with the options and the picture size of the run begun with, where they say nothing themselves."""
    if settings.weights is None:
        return settings
    earlier = read_earlier(settings.weights)
    if earlier.system != settings.model:  # whether any weight fits is said where they are read
        return settings
    changes: dict[str, Any] = {"arguments": {**earlier.arguments, **settings.arguments}}
    if settings.short_side is None and settings.long_side is None:
        changes |= {"short_side": earlier.preprocess.short_side, "long_side": earlier.preprocess.long_side}
    return settings.model_copy(update=changes)


def read_earlier(run: Path) -> Checkpoint:
    """The best weights of a run folder, or those of a .safetensors file."""
    return load_checkpoint(find_checkpoint(run))


def begin_with(model: nn.Module, earlier: Checkpoint, source: str) -> str:
    """Put what fits of an earlier system's weights into the model; the line that says what did not.

    Raises `InputError` when nothing does.
    """
    theirs, own = earlier.model.state_dict(), model.state_dict()
    fits = {key: value for key, value in theirs.items() if key in own and own[key].shape == value.shape}
    if earlier.model.fits:  # gradients go on from what they learned, not from what was fitted to it afterwards
        fits = {key: value for key, value in fits.items() if not key.startswith(BoxHead.FITTED)}
    if not fits:
        raise InputError(f"weights: {source} is a {earlier.system}, no weight of which fits; name a run of this system")
    model.load_state_dict(fits, strict=False)
    anew = sorted({key.rpartition(".")[0] for key, _ in model.named_parameters() if key not in fits})
    return f"weights: those of {source}" + (f", but for {', '.join(anew)}, which begin anew" if anew else "")


def build_loader(
    settings: TrainingSettings, dataset: Dataset, preprocess: Preprocess, *, rank: int, world_size: int
) -> TrainingLoader:
    """The batches of this process."""
    crop_size = settings.crop_size or preprocess.size
    if crop_size is None:
        crop_size = usual_size(dataset, preprocess, skip_unreadable=settings.skip_unreadable)
    augmentation = Augmentation(
        scale=settings.scale,
        crop_size=crop_size,
        flip=settings.flip,
        colour=settings.colour,
        ssd=settings.augment == "ssd",
    )
    augmentations = at_many_scales(augmentation) if settings.multi_scale else [augmentation]
    return training_loader(
        dataset,
        [training_transform(each, preprocess, dataset.categories) for each in augmentations],
        batch_size=settings.batch_size,
        seed=settings.seed,
        num_workers=settings.num_workers,
        rank=rank,
        world_size=world_size,
        skip_unreadable=settings.skip_unreadable,
    )


def at_many_scales(augmentation: Augmentation) -> list[Augmentation]:
    """The same at 0.75 to 1.5 times its size, in steps of 32 pixels of the shorter side.

    At 416 x 416 these are the 320 to 608 pixels of Redmon & Farhadi 2017, YOLO9000, section 2, "Multi-Scale Training".
    """
    assert augmentation.crop_size is not None
    shorter = min(augmentation.crop_size)
    sides = range(-(-shorter * 3 // 4 // SCALE_STEP) * SCALE_STEP, shorter * 3 // 2 + 1, SCALE_STEP)
    factors = [side / shorter for side in sides] or [1.0]
    return [
        replace(
            augmentation,
            scale=(augmentation.scale[0] * factor, augmentation.scale[1] * factor),
            crop_size=(round(augmentation.crop_size[0] * factor), round(augmentation.crop_size[1] * factor)),
        )
        for factor in factors
    ]
