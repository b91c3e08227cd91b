from pathlib import Path

import pytest

from delineate.data import FORMATS, Dataset
from delineate.data.bodies import Bodies
from delineate.data.dataset import Part
from delineate.data.splits import check_names, read_split, readable, shared, spread
from delineate.system.tasks import DETECT, INSTANCE, KEYPOINTS, POSE, SEGMENT, TASKS
from delineate.values import Categories, InputError, Sample, Target, Task

from .samples import everything


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("splits")
    FORMATS["coco"].write(everything(), root, "train")
    return root


@pytest.mark.parametrize(
    ("length", "count", "expected"),
    [(10, 3, [0, 3, 6]), (3, 10, [0, 1, 2]), (4, 4, [0, 1, 2, 3]), (0, 3, []), (5, 1, [0])],
)
def test_indices_at_equal_distances(length: int, count: int, expected: list[int]) -> None:
    assert spread(length, count) == expected


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_task_gets_what_it_needs_and_nothing_else(data: Path, task: Task) -> None:
    dataset = read_split(data, "train", task)
    target = dataset[0].target
    assert (target.masks is not None) == ("masks" in task.needs)
    assert (target.keypoints is not None) == ("keypoints" in task.needs)
    assert (target.label_map is not None) == ("label_map" in task.needs)
    assert (len(target) > 0) == ("boxes" in task.needs)
    assert isinstance(dataset, Bodies) == task.crops


def test_more_can_be_asked_for(data: Path) -> None:
    target = read_split(data, "train", DETECT, needs=INSTANCE.needs | SEGMENT.needs)[0].target
    assert target.masks is not None
    assert target.label_map is not None


def test_what_a_task_lacks_is_said(data: Path, tmp_path: Path) -> None:
    FORMATS["mask_folder"].write(everything(), tmp_path / "maps", "train")
    with pytest.raises(InputError, match=r"has label_map, but systems of the task detect learn from boxes$"):
        read_split(tmp_path / "maps", "train", DETECT)
    with pytest.raises(InputError, match=r"of the task pose learn from boxes and keypoints$"):
        read_split(tmp_path / "maps", "train", POSE)


def test_names_that_differ_are_named() -> None:
    mine = Categories(class_names=("car", "tree"), label_map_names=("car", "tree", "background"))
    check_names(mine, mine, SEGMENT, "here")
    for names, line in (
        (("car", "bush", "background"), "1 is 'tree' where trained and 'bush' in there"),
        (("car", "tree"), "2 is 'background' where trained and no class in there"),
    ):
        other = Categories(class_names=names[:2], label_map_names=names)
        with pytest.raises(InputError, match=line):
            check_names(mine, other, SEGMENT, "there")


def test_names_are_compared_for_what_the_task_tells_apart() -> None:
    mine = Categories(class_names=("car", "tree"), keypoint_names=("nose", "tail"))
    other = Categories(class_names=("car", "tree"), keypoint_names=("tail", "nose"))
    check_names(mine, other, DETECT, "there")
    with pytest.raises(InputError, match="keypoint names: 0 is 'nose' where trained and 'tail' in there"):
        check_names(mine, other, KEYPOINTS, "there")
    with pytest.raises(InputError, match="class names: 1 is 'tree' where trained and 'bush' in there"):
        check_names(mine, Categories(class_names=("car", "bush")), DETECT, "there")


def test_of_bodies_the_keypoints_are_compared_and_not_the_class() -> None:
    mine = Categories(class_names=("person",), keypoint_names=("nose",))
    check_names(mine, Categories(class_names=("body",), keypoint_names=("nose",)), POSE, "there")
    with pytest.raises(InputError, match="keypoint names: 0"):
        check_names(mine, Categories(class_names=("person",), keypoint_names=("tail",)), POSE, "there")


class Broken(Dataset):
    """Three pictures, of which those of these indices cannot be read."""

    def __init__(self, *broken: int) -> None:
        whole = everything()
        self.samples, self.broken, self.files = whole.samples, broken, whole.files
        self.categories, self.contents = whole.categories, whole.contents

    def target(self, index: int, image_size: tuple[int, int]) -> Target:
        return self[index].target

    def __getitem__(self, index: int) -> Sample:
        if index in self.broken:
            raise InputError(f"{index}: the picture is broken")
        return self.samples[index]


def test_pictures_that_cannot_be_read_are_left_out_and_noted() -> None:
    notes: list[str] = []
    kept = readable(Broken(1), notes)
    assert [Path(sample.file).stem for sample in (kept[index] for index in range(len(kept)))] == ["busy", "empty"]
    assert notes == ["left out 1 picture that cannot be read: 1: the picture is broken"]
    with pytest.raises(InputError, match="neither this nor another picture"):
        readable(Broken(0, 1, 2), notes)


def test_a_part_is_what_the_whole_is() -> None:
    whole = everything()
    part = Part(whole, [2, 0])
    assert [sample.file for sample in part] == [whole[2].file, whole[0].file]
    assert part.target(1, (48, 64)) is whole[0].target
    assert (part.categories, part.contents, part.needs) == (whole.categories, whole.contents, whole.needs)


def test_pictures_on_both_sides_are_the_same_file_or_copies_of_the_same_name(tmp_path: Path) -> None:
    def write(folder: str, name: str, content: str) -> Path:
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_text(content)
        return tmp_path / folder / name

    train = [write("train", "1.png", "one"), write("train", "2.png", "two"), write("train", "3.png", "one")]
    copy, other, gone = write("val", "1.png", "one"), write("val", "2.png", "owt"), tmp_path / "val" / "3.png"
    (tmp_path / "link").symlink_to(tmp_path / "train")
    linked = tmp_path / "link" / "3.png"
    assert shared([copy, other, gone, linked, train[1]], train) == [copy, linked, train[1]]
