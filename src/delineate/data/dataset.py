"""Every reader gives a sequence of samples whose pictures are decoded when asked for."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from pathlib import Path
from typing import TypeVar

from torch.utils.data import Dataset as TorchDataset

from delineate.data.images import image_size, read_image
from delineate.values import Categories, Content, InputError, Sample, Target

Item = TypeVar("Item")

EVERYTHING: frozenset[Content] = frozenset({"boxes", "masks", "keypoints", "label_map"})


def skippable(error: InputError) -> InputError:
    """Add to what is wrong with a picture how to go on without it."""
    return InputError(f"{error} (--skip-unreadable passes over what cannot be read)")


class Dataset(TorchDataset[Sample], ABC):
    """A data set is a sequence of annotated pictures.

    `categories` names the classes, `contents` says which annotations the data set has, and `needs` which of them are
    asked for: no others are decoded. `files` are the pictures, and `problems` say what a reader left out, and why.
    """

    categories: Categories
    contents: frozenset[Content]
    needs: frozenset[Content] = EVERYTHING
    files: Sequence[Path]
    problems: Sequence[str] = ()

    @property
    def gives(self) -> frozenset[Content]:
        """The annotations that targets hold are those that are in the files and asked for."""
        return self.contents & self.needs

    def size(self, index: int) -> tuple[int, int]:
        """Give the `(height, width)` of picture `index` without decoding it; raises `InputError` as `image_size`."""
        return image_size(self.files[index])

    def annotation_file(self, index: int) -> Path:
        """Say where the annotation of picture `index` is looked for; the file need not be there."""
        return self.files[index]

    def needing(self, needs: frozenset[Content]) -> "Dataset":
        """Give the same pictures with no other annotations than those in `needs`."""
        fewer = copy(self)
        fewer.needs = self.needs & needs
        return fewer

    @abstractmethod
    def target(self, index: int, image_size: tuple[int, int]) -> Target:
        """Read what is known of picture `index`, whose decoded `(height, width)` is given."""

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Sample:
        image = read_image(self.files[index])
        height, width = image.shape[-2:]
        return Sample(image=image, target=self.target(index, (height, width)), file=str(self.files[index]))


def each_readable(
    read: Callable[[int], Item], indices: Iterable[int], unreadable: list[str] | None
) -> Iterator[tuple[int, Item]]:
    """Read with each index what it names; what cannot be read goes to `unreadable`, or raises `InputError` without."""
    for index in indices:
        try:
            yield index, read(index)
        except InputError as error:
            if unreadable is None:
                raise skippable(error) from None
            unreadable.append(str(error))


def targets(
    dataset: Dataset, unreadable: list[str] | None, indices: Iterable[int] | None = None
) -> Iterator[tuple[int, Target]]:
    """Read the targets of all or some pictures, of which the headers alone are read, as `each_readable` does."""
    every = range(len(dataset)) if indices is None else indices
    return each_readable(lambda index: dataset.target(index, dataset.size(index)), every, unreadable)


class View(Dataset):
    """A view is made of another data set, `whole`, whose names and annotations it has; `notes` precede its problems."""

    notes: Sequence[str] = ()

    def __init__(self, whole: Dataset) -> None:
        self.whole = whole
        self.categories, self.contents, self.needs = whole.categories, whole.contents, whole.needs
        self.files: Sequence[Path] = whole.files

    @property
    def problems(self) -> Sequence[str]:  # type: ignore[override]  # a reader may read all files to know them
        return [*self.notes, *self.whole.problems]

    def size(self, index: int) -> tuple[int, int]:
        return self.whole.size(index)

    def annotation_file(self, index: int) -> Path:
        return self.whole.annotation_file(index)

    def needing(self, needs: frozenset[Content]) -> "Dataset":
        fewer = copy(self)
        fewer.whole, fewer.needs = self.whole.needing(needs), self.needs & needs
        return fewer

    def target(self, index: int, image_size: tuple[int, int]) -> Target:
        return self.whole.target(index, image_size)

    def __getitem__(self, index: int) -> Sample:
        return self.whole[index]


class Part(View):
    """A part has some pictures of a data set."""

    def __init__(self, whole: Dataset, indices: Sequence[int]) -> None:
        super().__init__(whole)
        self.indices = indices
        self.files = [whole.files[index] for index in indices]

    def size(self, index: int) -> tuple[int, int]:
        return self.whole.size(self.indices[index])

    def annotation_file(self, index: int) -> Path:
        return self.whole.annotation_file(self.indices[index])

    def target(self, index: int, image_size: tuple[int, int]) -> Target:
        return self.whole.target(self.indices[index], image_size)

    def __getitem__(self, index: int) -> Sample:
        return self.whole[self.indices[index]]
