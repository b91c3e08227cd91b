"""Settings are made a system, and the batches that it trains on."""

from dataclasses import replace
from typing import Any

import torch
from lightning.fabric import Fabric

from delineate.data.dataset import Dataset
from delineate.data.loading import TrainingLoader, training_loader
from delineate.data.preprocess import Preprocess
from delineate.data.proposals import with_proposals
from delineate.data.statistics import Statistics, usual_size
from delineate.data.transforms import Augmentation, training_transform
from delineate.io.runs import find_checkpoint
from delineate.models.contract import AnyModel
from delineate.nn.backbones import Backbone, load_backbone_weights, read_weights
from delineate.system.catalog import build, find_entry
from delineate.system.checkpoint import read_facts
from delineate.system.system import System
from delineate.training.data import training_data
from delineate.training.settings import TrainingSettings
from delineate.values import InputError

SCALE_STEP = 32


def build_training(settings: TrainingSettings, *, fresh: bool) -> tuple[System, Dataset, Dataset, list[str]]:
    """Build the system and read what it trains on and is validated on; with them come the lines to show of both."""
    train, val, notes = training_data(settings, find_entry(settings.model).task)
    system = build_system(settings, train, notes, fresh=fresh)
    train, val = (with_proposals(part, system.model.search, settings.data) for part in (train, val))
    return system, train, val, notes


def build_system(settings: TrainingSettings, dataset: Dataset, notes: list[str], *, fresh: bool) -> System:
    """Build the system as it is before its first step, in training mode; lines to show of it are added to `notes`.

    When it is not `fresh`, other weights will take the place of these, so that none have to be read. Raises
    `InputError` for options of what the system does not have, and for earlier weights of which none fits.
    """
    torch.manual_seed(settings.seed)
    model = build(settings.model, dataset.categories, **settings.arguments)
    preprocess = _with_backbone(settings, model, _preprocess(settings, model.input_size), fresh=fresh)
    if settings.class_weights != "none" and "label_map" not in find_entry(settings.model).task.needs:
        raise InputError(f"class_weights: {settings.model} weighs no pixels; leave it out")
    if settings.weights is not None:
        earlier = System.load(find_checkpoint(settings.weights))
        preprocess = replace(preprocess, mean=earlier.preprocess.mean, std=earlier.preprocess.std)
        if fresh:
            notes.append(begin_with(model, earlier, str(settings.weights)))
    if fresh:
        notes += model.begin(
            Statistics(
                dataset,
                preprocess,
                class_weights=settings.class_weights,
                shapes_chosen=settings.weights is not None,  # anchors came with the weights
                skip_unreadable=settings.skip_unreadable,
            )
        )
    return System(
        name=settings.model,
        model=model.to(memory_format=torch.channels_last).train(),
        preprocess=preprocess,
        categories=dataset.categories,
        arguments=settings.arguments,
    )


def _with_backbone(settings: TrainingSettings, model: AnyModel, preprocess: Preprocess, *, fresh: bool) -> Preprocess:
    """Give the backbones the weights that the settings name, and the preprocessing their statistics."""
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
    return preprocess


def _preprocess(settings: TrainingSettings, input_size: tuple[int, int] | None) -> Preprocess:
    sizes = [name for name in ("short_side", "long_side", "crop_size") if getattr(settings, name) is not None]
    if input_size is not None and sizes:
        size = " x ".join(map(str, input_size))
        raise InputError(f"{sizes[0]}: {settings.model} resizes every picture to {size}; leave {', '.join(sizes)} out")
    return Preprocess(short_side=settings.short_side, long_side=settings.long_side, size=input_size)


def as_earlier(settings: TrainingSettings) -> TrainingSettings:
    """Take the options and the picture size of the run begun with, where the settings say nothing themselves."""
    if settings.weights is None:
        return settings
    earlier = read_facts(find_checkpoint(settings.weights))
    if earlier.system != settings.model:  # whether any weight fits is checked where they are put in
        return settings
    changes: dict[str, Any] = {"arguments": {**earlier.arguments, **settings.arguments}}
    if settings.short_side is None and settings.long_side is None:
        changes |= {"short_side": earlier.preprocess.short_side, "long_side": earlier.preprocess.long_side}
    return settings.model_copy(update=changes)


def begin_with(model: AnyModel, earlier: System, source: str) -> str:
    """Put what fits of an earlier system's weights into the model, and give the line that says what did not.

    Raises `InputError` when nothing does.
    """
    # gradients go on from what they learned, not from what was fitted to it afterwards
    learned, initial = earlier.model.learned(earlier.model.state_dict()), model.state_dict()
    fits = {key: value for key, value in learned.items() if key in initial and initial[key].shape == value.shape}
    if not fits:
        raise InputError(f"weights: {source} is a {earlier.name}, no weight of which fits; name a run of this system")
    model.load_state_dict(fits, strict=False)
    anew = sorted({key.rpartition(".")[0] for key, _ in model.named_parameters() if key not in fits})
    return f"weights: those of {source}" + (f", but for {', '.join(anew)}, which begin anew" if anew else "")


def build_loader(
    settings: TrainingSettings, dataset: Dataset, preprocess: Preprocess, fabric: Fabric
) -> TrainingLoader:
    """Make the loader of this process's batches."""
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
        [training_transform(variant, preprocess, dataset.categories) for variant in augmentations],
        batch_size=settings.batch_size,
        seed=settings.seed,
        num_workers=settings.num_workers,
        rank=fabric.global_rank,
        world_size=fabric.world_size,
        skip_unreadable=settings.skip_unreadable,
    )


def at_many_scales(augmentation: Augmentation) -> list[Augmentation]:
    """Vary an augmentation from 0.75 to 1.5 times its size, in steps of 32 pixels of the shorter side.

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
