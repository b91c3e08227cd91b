"""U-Net on CamVid from scratch: ours and segmentation_models_pytorch's, trained for the same time, test mIoU of both.

Both have a ResNet-18 encoder, no pretrained weights, and `--minutes` of training on this machine (validation and the
final evaluation are not counted). Ours is `delineate train unet`. The peer has no training of its own: it gets the loop
that its users write (crops of 256 x 320, flips, AdamW with a cosine schedule over the time, median-frequency class
weights, batches of 8), in fp32, or with `--peer-precision bf16` under autocast and channels-last.

Both are measured by one confusion matrix over the test split at original size.
"""

import argparse
import math
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import segmentation_models_pytorch as smp
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from delineate.evaluation import evaluate_run
from delineate.metrics import confusion_matrix, segmentation_metrics
from delineate.training import TrainingSettings, train
from timing import print_rows

IGNORED, NUM_CLASSES = 11, 11
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


class CamVid(Dataset[tuple[Tensor, Tensor]]):
    """The split as a plain torchvision user reads it."""

    def __init__(self, root: Path, split: str, transform: v2.Transform) -> None:
        self.images = sorted((root / "images" / split).glob("*.jpg"))
        self.labels = [root / "labels" / split / f"{image.stem}.png" for image in self.images]
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = v2.functional.to_image(Image.open(self.images[index]).convert("RGB"))
        label = tv_tensors.Mask(v2.functional.pil_to_tensor(Image.open(self.labels[index])).long())
        image, label = self.transform(image, label)
        return image, label[0]


OURS: dict[str, Any] = {
    "arguments": {"backbone": "resnet18"},
    "class_weights": "median_frequency",
    "crop_size": (256, 320),
    "scale": (1.0, 1.0),
    "colour": 0.0,
}
"""What differs from the defaults of `delineate train unet`: the peer's learning rate, and its crops and flips alone."""

NORMALISE = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]


def train_peer(root: Path, minutes: float, seed: int, precision: str) -> nn.Module:
    torch.manual_seed(seed)
    augment = v2.Compose([v2.RandomCrop((256, 320)), v2.RandomHorizontalFlip(), *NORMALISE])
    loader = DataLoader(CamVid(root, "train", augment), 8, shuffle=True, num_workers=1, drop_last=True)
    model = smp.Unet("resnet18", encoder_weights=None, classes=NUM_CLASSES).train()
    bf16 = precision == "bf16"
    if bf16:
        model = model.to(memory_format=torch.channels_last)
    weights = median_frequency_weights(loader.dataset)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    begin, steps = time.perf_counter(), 0
    progress = 0.0
    while progress < 1:
        for images, labels in loader:
            progress = (time.perf_counter() - begin) / (60 * minutes)
            if progress >= 1:
                break
            optimizer.param_groups[0]["lr"] = 1e-3 * 0.5 * (1 + math.cos(math.pi * progress))
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                logits = model(images.contiguous(memory_format=torch.channels_last) if bf16 else images)
            loss = F.cross_entropy(logits.float(), labels, weights, ignore_index=IGNORED)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            steps += 1
    print(f"peer: {8 * steps} pictures", file=sys.stderr, flush=True)
    return model.eval()


def median_frequency_weights(dataset: CamVid) -> Tensor:
    """Eigen and Fergus 2015: the median of the classes' frequencies by each one's."""
    pixels, there = torch.zeros(NUM_CLASSES), torch.zeros(NUM_CLASSES)
    for file in dataset.labels:
        label = v2.functional.pil_to_tensor(Image.open(file)).flatten()
        counts = torch.bincount(label, minlength=NUM_CLASSES + 1)[:NUM_CLASSES].float()
        pixels += counts
        there += (counts > 0) * label.numel()
    frequency = pixels / there
    return frequency.median() / frequency


@torch.inference_mode()
def evaluate_peer(model: nn.Module, root: Path) -> float:
    matrix = torch.zeros(NUM_CLASSES, NUM_CLASSES, dtype=torch.int64)
    for image, label in CamVid(root, "test", v2.Compose(NORMALISE)):
        height, width = image.shape[-2:]
        padded = F.pad(image[None], (0, -width % 32, 0, -height % 32))
        found = model(padded)[0, :, :height, :width].argmax(0)
        matrix += confusion_matrix(label.where(label != IGNORED, 255), found, NUM_CLASSES)
    return segmentation_metrics(matrix, [str(number) for number in range(NUM_CLASSES)])["mIoU"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/camvid"))
    parser.add_argument("--peer-precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not (arguments.data / "images" / "test").is_dir():
        raise SystemExit(f"{arguments.data}: no images/test there; give CamVid's mask folder with --data")

    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingSettings(
            model="unet",
            data=arguments.data,
            minutes=arguments.minutes,
            seed=arguments.seed,
            out=Path(folder) / "run",
            **OURS,
        )
        run = train(settings)
        print(f"ours: {run.pictures} pictures", file=sys.stderr, flush=True)
        ours = evaluate_run(Path(folder) / "run", arguments.data, "test").metrics["mIoU"]
        print(f"ours: mIoU {ours:.4f}", file=sys.stderr, flush=True)
    peer = evaluate_peer(
        train_peer(arguments.data, arguments.minutes, arguments.seed, arguments.peer_precision), arguments.data
    )
    name = f"CamVid test mIoU after {arguments.minutes:g} minutes, U-Net ResNet-18 (peer in {arguments.peer_precision})"
    print_rows([{"name": name, "ours": ours, "peer": peer, "ratio": ours / peer}], as_json=arguments.json)


if __name__ == "__main__":
    main()
