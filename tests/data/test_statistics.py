from pathlib import Path

import pytest
import torch
from torch import Tensor

from delineate.data import FORMATS, Dataset, read_dataset, synthesise
from delineate.data.preprocess import Preprocess
from delineate.data.statistics import Statistics, median_frequency_weights, object_sizes, usual_size
from delineate.models.contract import TrainingPictures
from delineate.values import Categories, InputError, Sample, Target

from .samples import InMemory, everything


class LabelMaps(Dataset):
    """Black pictures with these label maps of classes a, b, c."""

    categories = Categories(class_names=("a", "b", "c"), label_map_names=("a", "b", "c"))
    contents = frozenset({"label_map"})

    def __init__(self, *label_maps: Tensor) -> None:
        self.label_maps = label_maps
        self.files = [Path(f"{index}.png") for index in range(len(label_maps))]

    def target(self, index: int, image_size: tuple[int, int]) -> Target:
        return Target(image_size=image_size, label_map=self.label_maps[index])

    def __getitem__(self, index: int) -> Sample:
        height, width = self.label_maps[index].shape
        image = torch.zeros(3, height, width, dtype=torch.uint8)
        return Sample(image=image, target=self.target(index, (height, width)), file=str(index))


def test_median_frequency_is_over_the_pictures_that_have_the_class() -> None:
    dataset = LabelMaps(
        torch.tensor([[0, 0, 0, 0], [0, 0, 1, 1]]),  # a: 6 of 8, b: 2 of 8
        torch.tensor([[0, 0, 0, 0], [0, 0, 255, 255]]),  # a: 6 of 6
    )
    frequency = (12 / 14, 2 / 8)
    median = sum(frequency) / 2
    weights = median_frequency_weights(dataset, skip_unreadable=False)
    assert weights.tolist() == pytest.approx([median / frequency[0], median / frequency[1], 1.0])


def test_the_usual_size_is_a_multiple_of_32_of_the_resized_median() -> None:
    maps = [torch.zeros(size, dtype=torch.int64) for size in ((100, 150), (100, 150), (20, 700))]
    assert usual_size(LabelMaps(*maps), Preprocess(), 512, skip_unreadable=False) == (96, 128)
    assert usual_size(LabelMaps(*maps[:2]), Preprocess(short_side=400), 512, skip_unreadable=False) == (384, 512)
    assert usual_size(LabelMaps(maps[2]), Preprocess(), 512, skip_unreadable=False) == (32, 512)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("statistics") / "data"
    synthesise(folder, num_images=20, image_size=(64, 64))
    return folder


def test_sizes_are_those_of_objects_that_count_in_the_resized_pictures(data: Path) -> None:
    dataset = read_dataset(data, "train")
    sizes = object_sizes(dataset, Preprocess(size=(128, 64)), skip_unreadable=False)
    expected = []
    for index in range(len(dataset)):
        target = dataset[index].target
        boxes = target.boxes[~target.ignored]
        expected.append((boxes[:, 2:] - boxes[:, :2]) * torch.tensor([1.0, 2.0]))
    torch.testing.assert_close(sizes, torch.cat(expected))


def test_systems_may_ask(data: Path) -> None:
    dataset = read_dataset(data, "train")
    pictures: TrainingPictures = Statistics(dataset, Preprocess())
    assert torch.equal(pictures.object_sizes(), object_sizes(dataset, Preprocess(), skip_unreadable=False))
    assert pictures.class_weights() is None
    weighted = Statistics(dataset, Preprocess(), class_weights="median_frequency")
    expected = median_frequency_weights(dataset, skip_unreadable=False)
    assert torch.equal(weighted.class_weights(), expected)  # type: ignore[arg-type]
    names = [name for name, has in zip(dataset.categories.class_names, pictures.keypoint_classes(), strict=True) if has]
    assert names == ["figure"]


def test_classes_have_keypoints_where_an_object_that_counts_has_one(tmp_path: Path) -> None:
    samples = everything()
    bird = samples[1].target
    assert bird.visibility is not None
    bird.visibility[0, 0] = 2  # and it is difficult
    FORMATS["coco"].write(samples, tmp_path, "train")
    dataset = read_dataset(tmp_path, "train", needs=frozenset({"boxes", "keypoints"}))
    assert Statistics(dataset, Preprocess()).keypoint_classes().tolist() == [True, False, False]


def test_unreadable_pictures_are_passed_over_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(InMemory, "size")  # it is read from the files, which do not exist
    dataset = InMemory(everything().samples)
    with pytest.raises(InputError):
        Statistics(dataset, Preprocess()).object_sizes()
    assert Statistics(dataset, Preprocess(), skip_unreadable=True).object_sizes().shape == (0, 2)
