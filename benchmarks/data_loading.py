"""Training batches a second from CamVid: our loader against a torchvision pipeline written the usual way.

Both decode picture and label map, scale by 0.5 to 2, crop 352 x 480 (padding what is smaller), mirror half of them, and
end with a batch of normalised float pictures and int64 label maps; both have the same number of workers, which live on
between epochs. Ours also maps the label maps' values and checks every one. A turn is an epoch.

The rows of COCO compare ours with itself: what a box detector needs, in the peer's place all that the files hold
(masks, keypoints and painted label maps are decoded, moved and sent, too). A batch's size is that in memory.
"""

import argparse
import statistics
import sys
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from delineate.data import Augmentation, Batch, Content, read_dataset, training_loader, training_transform
from delineate.data.dataset import EVERYTHING
from delineate.data.formats import splits
from delineate.data.preprocess import Preprocess
from timing import Row, interleaved, print_rows

CROP = (352, 480)
SIZE = (360, 480)
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
CAMVID, COCO = DATA / "camvid", DATA / "coco128"
COCO_CROP = (480, 512)
BOXES: frozenset[Content] = frozenset({"boxes"})


class PlainCamVid(Dataset[tuple[Tensor, Tensor]]):
    """Picture and label map by PIL, then torchvision's v2 transforms, as in its own reference recipe."""

    def __init__(self, root: Path) -> None:
        self.images = sorted((root / "images" / "train").iterdir())
        self.labels = root / "labels" / "train"
        self.transform = v2.Compose(
            [
                v2.ToImage(),
                v2.ScaleJitter(SIZE, (0.5, 2.0)),
                v2.RandomCrop(CROP, pad_if_needed=True, fill={tv_tensors.Image: 0, tv_tensors.Mask: 255}),
                v2.RandomHorizontalFlip(),
                v2.ToDtype({tv_tensors.Image: torch.float32, tv_tensors.Mask: torch.int64, "others": None}, scale=True),
                v2.Normalize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = Image.open(self.images[index]).convert("RGB")
        label_map = tv_tensors.Mask(Image.open(self.labels / f"{self.images[index].stem}.png"))
        image, label_map = self.transform(image, label_map)
        return image, label_map.squeeze(0)


def our_loader(
    root: Path, split: str, needs: frozenset[Content], crop: tuple[int, int], batch_size: int, num_workers: int
) -> Callable[[], Iterable[Batch]]:
    """The batches of one epoch after another."""
    dataset, epochs = read_dataset(root, split, needs=needs), count()
    augmentation = Augmentation(scale=(0.5, 2.0), crop_size=crop, flip=0.5)
    transform = training_transform(augmentation, Preprocess(), dataset.categories)
    loader = training_loader(dataset, [transform], batch_size=batch_size, seed=0, num_workers=num_workers)

    def epoch() -> Iterable[Batch]:
        loader.set_epoch(next(epochs))
        return loader

    return epoch


def our_epoch(root: Path, batch_size: int, num_workers: int) -> Callable[[], None]:
    epoch = our_loader(root, "train", frozenset({"label_map"}), CROP, batch_size, num_workers)

    def run() -> None:
        for batch in epoch():
            label_maps = [target.label_map for target in batch.targets if target.label_map is not None]
            check(Preprocess().normalise(batch.images), torch.stack(label_maps))

    return run


def coco_rows(root: Path, batch_size: int, num_workers: int, repeats: int) -> list[Row]:
    """Boxes alone and all annotations: pictures a second, and the size of a batch."""
    (split, *_) = splits(root)
    boxes, everything = (
        our_loader(root, split, needs, COCO_CROP, batch_size, num_workers) for needs in (BOXES, EVERYTHING)
    )
    num_batches = len(list(boxes()))
    name = f"COCO boxes alone, against everything, {num_workers} workers, "
    row = interleaved(name + "pictures/s", lambda: list_sizes(boxes()), lambda: list_sizes(everything()), repeats)
    num_pictures = num_batches * batch_size
    smaller, larger = (statistics.median(list_sizes(epoch())) for epoch in (boxes, everything))
    return [
        {**row, "ours": num_pictures / row["ours"], "peer": num_pictures / row["peer"]},
        {"name": name + "MB a batch", "ours": smaller, "peer": larger, "ratio": larger / smaller},
    ]


def list_sizes(batches: Iterable[Batch]) -> list[float]:
    """The megabytes of each batch."""
    sizes = []
    for batch in batches:
        tensors = [value for target in batch.targets for value in vars(target).values() if isinstance(value, Tensor)]
        sizes.append(sum(tensor.nbytes for tensor in (batch.images, *tensors)) / 1e6)
    return sizes


def peer_epoch(root: Path, batch_size: int, num_workers: int) -> Callable[[], None]:
    loader = DataLoader(
        PlainCamVid(root),
        batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
    )

    def run() -> None:
        for images, label_maps in loader:
            check(images, label_maps)

    return run


def check(images: Tensor, label_maps: Tensor) -> None:
    assert images.shape[2:] == label_maps.shape[1:] == CROP
    assert (images.dtype, label_maps.dtype) == (torch.float32, torch.int64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=CAMVID, help="the CamVid folder (images/, labels/, classes.txt)")
    parser.add_argument("--coco", type=Path, default=COCO, help="a COCO folder with masks, whose first split is read")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not (arguments.data / "images" / "train").is_dir():
        sys.exit(f"{arguments.data}: there is no images/train; give CamVid's folder by --data")
    if not (arguments.coco / "annotations").is_dir():
        sys.exit(f"{arguments.coco}: there is no annotations; give a COCO folder with masks by --coco")

    torch.set_num_threads(1)  # as in workers, so that 0 workers compare the work and not the threads
    rows: list[Row] = []
    for num_workers in arguments.workers:
        ours, peer = (make(arguments.data, arguments.batch, num_workers) for make in (our_epoch, peer_epoch))
        row = interleaved(f"CamVid training, {num_workers} workers, pictures/s", ours, peer, arguments.repeats)
        num_pictures = len(PlainCamVid(arguments.data)) // arguments.batch * arguments.batch
        rows.append({**row, "ours": num_pictures / row["ours"], "peer": num_pictures / row["peer"]})
        rows += coco_rows(arguments.coco, arguments.batch, num_workers, arguments.repeats)
    print_rows(rows, as_json=arguments.json)


if __name__ == "__main__":
    main()
