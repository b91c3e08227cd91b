"""Every reader gives a sequence of samples whose pictures are decoded when asked for."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from pathlib import Path
from typing import TypeVar

import torch
from jaxtyping import Int64
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from delineate.data.images import check_image, image_size, read_image
from delineate.data.table import Table
from delineate.values import Categories, Content, InputError, Sample, Target, counted, listed

Item = TypeVar("Item")

EVERYTHING: frozenset[Content] = frozenset({"boxes", "masks", "keypoints", "label_map"})
OBJECTS: frozenset[Content] = frozenset({"boxes", "keypoints"})
"""These are read of all pictures in little time, as nothing has to be decoded."""


def skippable(error: InputError) -> InputError:
    """Add to what is wrong with a picture how to go on without it."""
    return InputError(f"{error} (--skip-unreadable passes over what cannot be read)")


def not_readable(errors: Sequence[str]) -> InputError:
    """Say at once what is wrong with several pictures, and how to go on without them."""
    if len(errors) == 1:
        return skippable(InputError(errors[0]))
    return skippable(InputError(f"{counted(len(errors), 'picture')} cannot be read: {first_of(errors)}"))


def left_out_of(errors: Sequence[str]) -> str:
    """Say that pictures are left out, and what is wrong with them."""
    return f"left out {counted(len(errors), 'picture')} that cannot be read: {first_of(errors)}"


def first_of(errors: Sequence[str]) -> str:
    """Join the first of what is wrong with pictures, with its mend once where all have the same."""
    ends = {sep + mend if sep else "" for _, sep, mend in (error.rpartition("; ") for error in errors)}
    end = ends.pop() if len(ends) == 1 else ""
    return listed(error.removesuffix(end) for error in errors) + end


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

    def check_picture(self, index: int) -> None:
        """Raise `InputError` as `check_image`; a picture that is no file is made, or kept elsewhere."""
        if self.files[index].is_file():
            check_image(self.files[index])

    def annotation_file(self, index: int) -> Path:
        """Say where the annotation of picture `index` is looked for; the file need not be there."""
        return self.files[index]

    def table(self) -> Table | None:
        """Give what targets say of boxes and keypoints, of all pictures at once; `None` where that takes reading."""
        return None

    def groups(self) -> Int64[Tensor, " p"] | None:
        """Number the archive that each picture lies in; `None` where each lies by itself."""
        return None

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
    """Read the targets of all or some pictures, without decoding these, as `each_readable` does.

    Where it is told what cannot be read, the ends of the pictures' files are looked at, too.
    """
    every = range(len(dataset)) if indices is None else indices
    read = target_of if unreadable is None else checked_target
    return each_readable(lambda index: read(dataset, index), every, unreadable)


def target_of(dataset: Dataset, index: int) -> Target:
    """Read what is known of a picture, of which the header alone is read."""
    return dataset.target(index, dataset.size(index))


def checked_target(dataset: Dataset, index: int) -> Target:
    """Read what is known of a picture that can be read itself, as far as is seen without decoding it."""
    dataset.check_picture(index)
    return target_of(dataset, index)


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

    def check_picture(self, index: int) -> None:
        self.whole.check_picture(index)

    def annotation_file(self, index: int) -> Path:
        return self.whole.annotation_file(index)

    def table(self) -> Table | None:
        return self.whole.table() if type(self).target is View.target else None

    def groups(self) -> Int64[Tensor, " p"] | None:
        return self.whole.groups()

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

    def table(self) -> Table | None:
        whole = self.whole.table() if type(self).target is Part.target else None
        return None if whole is None else whole.part(torch.tensor(self.indices, dtype=torch.int64))

    def groups(self) -> Int64[Tensor, " p"] | None:
        groups = self.whole.groups()
        return None if groups is None else groups[torch.tensor(self.indices, dtype=torch.int64)]

    def size(self, index: int) -> tuple[int, int]:
        return self.whole.size(self.indices[index])

    def check_picture(self, index: int) -> None:
        self.whole.check_picture(self.indices[index])

    def annotation_file(self, index: int) -> Path:
        return self.whole.annotation_file(self.indices[index])

    def target(self, index: int, image_size: tuple[int, int]) -> Target:
        return self.whole.target(self.indices[index], image_size)

    def __getitem__(self, index: int) -> Sample:
        return self.whole[self.indices[index]]
