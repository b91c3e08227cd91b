"""From settings to a system and the batches that it trains on."""

import torch

from delineate.catalog import build
from delineate.data.dataset import Dataset
from delineate.data.loading import TrainingLoader, training_loader
from delineate.data.transforms import Augmentation, training_transform
from delineate.models.dense import Segmenter
from delineate.parts.backbones import Backbone, load_backbone_weights, read_weights
from delineate.structures import InputError, Preprocess
from delineate.training.data import median_frequency_weights, usual_size
from delineate.training.settings import TrainingSettings
from delineate.weights import Checkpoint


def build_system(settings: TrainingSettings, dataset: Dataset, *, fresh: bool) -> Checkpoint:
    """The system before its first step, in training mode.

    When it is not `fresh`, other weights will take the place of these, so that none have to be read. Raises
    `InputError` for a backbone's options where there is no backbone.
    """
    torch.manual_seed(settings.seed)
    model = build(settings.model, dataset.categories, **settings.arguments)
    statistics = {}
    backbone = next((module for module in model.modules() if isinstance(module, Backbone)), None)
    if backbone is not None:
        if fresh and settings.pretrained:
            load_backbone_weights(backbone, backbone.imagenet_weights(), "pretrained")
        if settings.pretrained:
            statistics = backbone.imagenet_statistics()
        if fresh and settings.backbone_weights:
            load_backbone_weights(backbone, read_weights(settings.backbone_weights), str(settings.backbone_weights))
        if settings.freeze_until is not None:
            backbone.freeze_until(settings.freeze_until)
    elif settings.pretrained or settings.backbone_weights or settings.freeze_until is not None:
        raise InputError(f"{settings.model} has no backbone: leave out pretrained, backbone_weights and freeze_until")
    if settings.class_weights != "none" and not isinstance(model, Segmenter):
        raise InputError(f"class_weights: {settings.model} weighs no pixels; leave it out")
    if fresh and settings.class_weights == "median_frequency" and isinstance(model, Segmenter):
        model.class_weights.copy_(median_frequency_weights(dataset, skip_unreadable=settings.skip_unreadable))
    return Checkpoint(
        model=model.to(memory_format=torch.channels_last).train(),
        system=settings.model,
        arguments=settings.arguments,
        categories=dataset.categories,
        preprocess=Preprocess(short_side=settings.short_side, long_side=settings.long_side, **statistics),
    )


def build_loader(
    settings: TrainingSettings, dataset: Dataset, preprocess: Preprocess, *, rank: int, world_size: int
) -> TrainingLoader:
    """The batches of this process."""
    crop_size = settings.crop_size or usual_size(dataset, preprocess, skip_unreadable=settings.skip_unreadable)
    augmentation = Augmentation(scale=settings.scale, crop_size=crop_size, flip=settings.flip, colour=settings.colour)
    return training_loader(
        dataset,
        training_transform(augmentation, preprocess, dataset.categories),
        batch_size=settings.batch_size,
        seed=settings.seed,
        num_workers=settings.num_workers,
        rank=rank,
        world_size=world_size,
        skip_unreadable=settings.skip_unreadable,
    )
