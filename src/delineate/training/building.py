"""Settings are made a system, and the batches that it trains on."""

from dataclasses import fields, replace

import torch
from lightning.fabric import Fabric

from delineate.data.augmentation import Augmentation, training_transform
from delineate.data.augmenting import Mix, Mixing, alone
from delineate.data.dataset import Dataset
from delineate.data.loading import TrainingLoader, training_loader
from delineate.data.preprocess import Preprocess
from delineate.data.proposals import with_proposals
from delineate.data.statistics import LARGEST_CROP, LARGEST_OF_OBJECTS, Statistics, usual_size
from delineate.io.runs import find_checkpoint
from delineate.models.contract import AnyModel
from delineate.system.catalog import build, find_entry, needs
from delineate.system.system import System
from delineate.training.backbones import begin_backbones
from delineate.training.begun import Begun
from delineate.training.data import training_data
from delineate.training.earlier import begin_with
from delineate.training.rare import check_rare, repeats, weigh_classes
from delineate.training.settings import TrainingSettings
from delineate.training.stock import take_stock, thresholds_for
from delineate.values import InputError

SCALE_STEP = 32


def build_training(
    settings: TrainingSettings, data: tuple[Dataset, Dataset, list[str]] | None = None, begun: Begun | None = None
) -> tuple[System, Dataset, Dataset | None, list[str]]:
    """Build the system for what `training_data` read, or reads now; with them come the lines to show of both.

    Where nothing can be measured, there is nothing to validate on. Raises `InputError` where nothing can be learned,
    and where a run has `begun` with other names than the data have now.
    """
    train, val, notes = data or training_data(settings, find_entry(settings.model).task)
    if begun is not None:
        begun.check(settings, train.categories)
    system, measurable = build_system(settings, train, val, notes, begun)
    train, val = (with_proposals(part, system.model.search, settings.data) for part in (train, val))
    return system, train, val if measurable else None, notes


def build_system(
    settings: TrainingSettings, dataset: Dataset, val: Dataset, notes: list[str], begun: Begun | None
) -> tuple[System, bool]:
    """Build the system as it is before its first step, in training mode, and tell whether it can be measured on `val`.

    Lines to show of it are added to `notes`. Where the run has `begun`, other weights will take the place of these, so
    that none have to be read. Raises `InputError` for options of what the system does not have, for earlier weights of
    which none fits, and where nothing can be learned.
    """
    torch.manual_seed(settings.seed)
    model = build(settings.model, dataset.categories, **settings.arguments)
    if settings.num_epochs == 0 and not model.fits:
        raise InputError(f"epochs: {settings.model} learns nothing in 0, as it fits nothing afterwards; give 1 or more")
    preprocess, carried = _preprocess(settings, model), set[str]()
    preprocess = begin_backbones(settings, model, preprocess, notes, fresh=begun is None)
    check_rare(settings, model)
    if begun is not None:
        preprocess = begun.preprocess
    elif settings.weights is not None:
        earlier = System.load(find_checkpoint(settings.weights))
        preprocess = replace(preprocess, mean=earlier.preprocess.mean, std=earlier.preprocess.std)
        carried, lines = begin_with(model, settings.model, dataset.categories, earlier, str(settings.weights))
        notes += lines
    learned, measured = take_stock(settings, find_entry(settings.model).task, dataset, val, preprocess, notes)
    thresholds = thresholds_for(settings, model, max(learned.most, measured.most), notes)
    if begun is None:
        notes += model.begin(
            Statistics(
                dataset,
                preprocess,
                class_weights=settings.class_weights,
                shapes_chosen="anchors" in carried,  # they came with the weights
                skip_unreadable=settings.skip_unreadable,
            )
        )
    notes += weigh_classes(settings, model, dataset)
    system = System(
        name=settings.model,
        model=model.to(memory_format=torch.channels_last).train(),
        preprocess=preprocess,
        categories=dataset.categories,
        arguments=settings.arguments,
        thresholds=thresholds,
    )
    return system, not measured.lacks("measure")


def _preprocess(settings: TrainingSettings, model: AnyModel) -> Preprocess:
    input_size = model.input_size
    sizes = [name for name in ("short_side", "long_side", "crop_size") if getattr(settings, name) is not None]
    if input_size is not None and sizes:
        size = " x ".join(map(str, input_size))
        raise InputError(f"{sizes[0]}: {settings.model} resizes every picture to {size}; leave {', '.join(sizes)} out")
    if model.learns_whole and settings.crop_size is not None:
        raise InputError(
            f"crop_size: {settings.model} learns whole pictures, as its boxes are shares of their sides; leave it out, "
            "and choose their size by --short-side or --long-side"
        )
    return Preprocess(short_side=settings.short_side, long_side=settings.long_side, size=input_size)


def build_loader(
    settings: TrainingSettings, dataset: Dataset, system: System, fabric: Fabric, notes: list[str] | None = None
) -> TrainingLoader:
    """Make the loader of this process's batches, of windows, or of whole pictures where the system learns those.

    A line that says how often pictures come, where not all come once, is added to `notes`. Raises `InputError` for many
    scales of which there is but one.
    """
    preprocess = system.preprocess
    size = settings.crop_size or preprocess.size
    if size is None:
        largest = LARGEST_OF_OBJECTS if system.task.finds_many else LARGEST_CROP
        size = usual_size(dataset, preprocess, largest, skip_unreadable=settings.skip_unreadable)
    augmentation = Augmentation(
        way=settings.augment,
        scale=settings.scale,
        crop_size=None if system.model.learns_whole else size,
        flip=settings.flip,
        colour=settings.colour,
        elastic=settings.elastic,
    )
    augmentations = at_many_scales(augmentation, min(size)) if settings.multi_scale else [augmentation]
    if settings.multi_scale and len(augmentations) == 1:
        usual = " x ".join(map(str, size))
        raise InputError(f"multi_scale: pictures of {usual} have no other size in its steps; add --no-multi-scale")
    return training_loader(
        dataset,
        [training_transform(variant, preprocess, dataset.categories) for variant in augmentations],
        batch_size=settings.batch_size,
        seed=settings.seed,
        num_workers=settings.num_workers,
        rank=fabric.global_rank,
        world_size=fabric.world_size,
        skip_unreadable=settings.skip_unreadable,
        factors=repeats(settings, dataset, [] if notes is None else notes),
        mix=mixing(settings),
    )


def mixing(settings: TrainingSettings) -> Mix:
    """Say how training pictures are put together; raises `InputError` for what has no sense in this system."""
    task = find_entry(settings.model).task
    for name in ("mosaic", "mixup", "copy_paste"):
        if getattr(settings, name) and not task.finds_many:
            raise InputError(f"{name}: it puts several pictures into one, and {settings.model} finds {task.finds}")
    if settings.elastic and "label_map" not in task.needs:
        raise InputError(f"elastic: it bends label maps, and {settings.model} finds {task.finds}; leave it out")
    if settings.copy_paste and "masks" not in needs(settings.model, settings.arguments):
        raise InputError(f"copy_paste: objects are cut out by their masks, which {settings.model} does not learn from")
    mix = Mixing(**{field.name: getattr(settings, field.name) for field in fields(Mixing)})
    return alone if mix == Mixing() else mix


def at_many_scales(augmentation: Augmentation, shorter: int) -> list[Augmentation]:
    """Vary an augmentation from 0.75 to 1.5 times its size, in steps of 32 pixels of the shorter side.

    At 416 x 416 these are the 320 to 608 pixels of Redmon & Farhadi 2017, YOLO9000, section 2, "Multi-Scale Training".
    """
    sides = range(-(-shorter * 3 // 4 // SCALE_STEP) * SCALE_STEP, shorter * 3 // 2 + 1, SCALE_STEP)
    factors = [side / shorter for side in sides] or [1.0]
    crop = augmentation.crop_size
    return [
        replace(
            augmentation,
            scale=(augmentation.scale[0] * factor, augmentation.scale[1] * factor),
            crop_size=None if crop is None else (round(crop[0] * factor), round(crop[1] * factor)),
        )
        for factor in factors
    ]
