"""Training batches a second from CamVid: our loader against a torchvision pipeline written the usual way.

Both decode picture and label map, scale by 0.5 to 2, crop 352 x 480 (padding what is smaller), mirror half of them, and
end with a batch of normalised float pictures and int64 label maps; both have the same number of workers, which live on
between epochs. Ours also maps the label maps' values and checks every one. A turn is an epoch.
"""

import argparse
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from delineate.data import Augmentation, read_dataset, training_loader, training_transform
from delineate.data.preprocess import Preprocess
from timing import Row, interleaved, print_rows

CROP = (352, 480)
SIZE = (360, 480)
CAMVID = Path(__file__).resolve().parents[2] / "shared" / "data" / "camvid"


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


def our_epoch(root: Path, batch_size: int, num_workers: int) -> Callable[[], None]:
    dataset, preprocess = read_dataset(root, "train"), Preprocess()
    augmentation = Augmentation(scale=(0.5, 2.0), crop_size=CROP, flip=0.5)
    transform = training_transform(augmentation, preprocess, dataset.categories)
    loader = training_loader(dataset, [transform], batch_size=batch_size, seed=0, num_workers=num_workers)
    epochs = count()

    def run() -> None:
        loader.set_epoch(next(epochs))
        for batch in loader:
            label_maps = [target.label_map for target in batch.targets if target.label_map is not None]
            check(preprocess.normalise(batch.images), torch.stack(label_maps))

    return run


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
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not (arguments.data / "images" / "train").is_dir():
        sys.exit(f"{arguments.data}: there is no images/train; give CamVid's folder by --data")

    torch.set_num_threads(1)  # as in workers, so that 0 workers compare the work and not the threads
    rows: list[Row] = []
    for num_workers in arguments.workers:
        ours, peer = (make(arguments.data, arguments.batch, num_workers) for make in (our_epoch, peer_epoch))
        row = interleaved(f"CamVid training, {num_workers} workers, pictures/s", ours, peer, arguments.repeats)
        num_pictures = len(PlainCamVid(arguments.data)) // arguments.batch * arguments.batch
        rows.append({**row, "ours": num_pictures / row["ours"], "peer": num_pictures / row["peer"]})
    print_rows(rows, as_json=arguments.json)


if __name__ == "__main__":
    main()
