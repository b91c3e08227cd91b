"""Pictures with what is known of them: read, written, converted, made, augmented and loaded."""

from delineate.data.augmentation import Augmentation, training_transform
from delineate.data.dataset import Dataset
from delineate.data.dividing.division import Division, divide
from delineate.data.formats import FORMATS, convert, read_dataset
from delineate.data.images import from_pil, image_size, read_image, read_label_map
from delineate.data.loading import Batch, evaluation_loader, training_loader
from delineate.data.synthetic import Synthetic, synthesise
from delineate.values import Content

__all__ = [
    "FORMATS",
    "Augmentation",
    "Batch",
    "Content",
    "Dataset",
    "Division",
    "Synthetic",
    "convert",
    "divide",
    "evaluation_loader",
    "from_pil",
    "image_size",
    "read_dataset",
    "read_image",
    "read_label_map",
    "synthesise",
    "training_loader",
    "training_transform",
]
