"""A trained system is one value, which is trained, saved, loaded, used and exported."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Real, UInt8
from torch import Tensor
from torch.nn import functional as F

from delineate.data.preprocess import Preprocess
from delineate.models.contract import AnyModel, Inputs, Reader, Rows, Scores
from delineate.nn.folding import fold_backbones, narrow_backbones
from delineate.ops.boxes import scale_boxes
from delineate.system.catalog import build, find_entry, needs
from delineate.system.checkpoint import VERSION, Facts, read_checkpoint, write_checkpoint
from delineate.system.operating import FoundBy, OperatingPoints, read_points
from delineate.values import Categories, Content, InputError, Prediction, Target, Task, Thresholds, Truth, truths_of

Pictures = Sequence[UInt8[Tensor, "3 _h _w"]]
Resized = Sequence[Real[Tensor, "3 _h _w"]]


class Prepared(NamedTuple):
    """Pictures of a call are prepared for the network; their places in the call and their original sizes are kept."""

    places: list[int]
    inputs: Inputs
    sizes: list[tuple[int, int]]


@dataclass(frozen=True, kw_only=True, eq=False)
class System:
    """A model has a name and arguments in the catalog, preprocessing, names, and metrics that were measured.

    `thresholds` are the model's own where they are `None`, and nothing where there is nothing to choose. Of what is
    found, those objects are taken for found that `operating_points` say, where its scores were calibrated.
    """

    name: str
    model: AnyModel
    preprocess: Preprocess
    categories: Categories
    arguments: dict[str, Any] = field(default_factory=dict)
    thresholds: Thresholds | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    operating_points: OperatingPoints | None = None
    ready: bool = False
    in_bf16: bool = False

    @classmethod
    def load(cls, file: Path, device: torch.device | None = None, in_bf16: bool = False) -> "System":
        """Load the system in a .safetensors file that `save` wrote, in evaluation mode.

        Without `device` it is on the CPU as it was saved; with it, it is there and made ready for use: channels last,
        the norms of its backbones folded into convolutions, and so neither trained nor saved any more; `in_bf16`, its
        network computes in bfloat16, and what is found in its outputs in float32. Raises `InputError` naming the file
        when it is missing, is no checkpoint of ours, or does not fit its system.
        """
        facts, weights = read_checkpoint(file)
        try:
            model = build(facts.system, facts.categories, **facts.arguments)
        except InputError as error:
            raise InputError(f"{file}: {error}") from error
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            reason = str(error).splitlines()[1].strip()
            earlier = "" if facts.version == VERSION else "; an earlier delineate wrote it: use that one, or train anew"
            raise InputError(f"{file}: its weights do not fit {facts.system} ({reason}){earlier}") from error
        if device is not None:
            fold_backbones(model.eval().to(device).to(memory_format=torch.channels_last))
        if in_bf16:
            narrow_backbones(model)
        return cls(
            name=facts.system,
            model=model.eval(),
            ready=device is not None,
            in_bf16=in_bf16,
            preprocess=facts.preprocess,
            categories=facts.categories,
            arguments=facts.arguments,
            thresholds=facts.thresholds,
            metrics=facts.metrics,
            operating_points=read_points(file),
        )

    def save(self, file: Path) -> None:
        """Write a .safetensors file, and its facts as JSON beside it, each whole or not at all.

        Raises `InputError` for a system that was loaded for use: norms that were folded have no weights any more.
        """
        if self.ready:
            raise InputError(f"{file}: a system that is loaded for use is not saved; load it without a device")
        facts = Facts(
            system=self.name,
            arguments=self.arguments,
            categories=self.categories,
            preprocess=self.preprocess,
            thresholds=self.reader.thresholds,
            metrics=self.metrics,
        )
        write_checkpoint(file, facts, self.model.state_dict())

    @property
    def task(self) -> Task:
        """The task says what it finds."""
        return find_entry(self.name).task

    @property
    def needs(self) -> frozenset[Content]:
        """The annotations that it learns from and is measured by are these."""
        return needs(self.name, self.arguments)

    @property
    def device(self) -> torch.device:
        """The model is on this device; a graph that was exported is given its pictures on the CPU."""
        return next(self.model.parameters(), torch.empty(0)).device

    @property
    def exported(self) -> bool:
        """Another runtime computes: there are no weights here, but threads beside which no process is to be forked."""
        return next(self.model.parameters(), None) is None

    @property
    def reader(self) -> Reader[Any, Any]:
        """The model's reader has this system's thresholds here."""
        reader = self.model.reader
        if self.thresholds is None or reader.thresholds is None:
            return reader
        return replace(reader, thresholds=self.thresholds)

    def with_thresholds(self, **given: Any) -> "System":
        """Change values of `Thresholds`; those that are `None` are left as they are.

        A `score` that is given takes the place of operating points.

        Raises `InputError` where a value is given and the system has nothing to choose, or an export not any more.
        """
        asked = {name: value for name, value in given.items() if value is not None}
        if not asked:
            return self
        if self.reader.thresholds is None:
            raise InputError(f"{next(iter(asked))}: {self.name} finds {self.task.finds}, without scores; leave it out")
        reader = replace(self.reader, thresholds=self.reader.thresholds.changed(**asked))
        points = None if "score" in asked else self.operating_points
        return replace(self, thresholds=reader.thresholds, operating_points=points)

    def unlike(self, options: FoundBy) -> FoundBy:
        """Leave out of options those that are values of this system's `Thresholds`: it finds by them anyway."""
        own = self.reader.thresholds
        return {name: value for name, value in options.items() if getattr(own, name, None) != value}

    @property
    def least(self) -> Float[Tensor, " c"] | None:
        """Objects of each class are taken from this score on, where that was calibrated."""
        return None if self.operating_points is None else self.operating_points.least(self.categories)

    def prepare(self, images: Pictures) -> list[Prepared]:
        """Resize RGB uint8 pictures of any sizes, find proposals, and put those of one resized size together."""
        sizes = [(image.shape[-2], image.shape[-1]) for image in images]
        return self.together([self.preprocess.resize(image) for image in images], sizes, self.search(images))

    def search(self, images: Pictures) -> list[Tensor] | None:
        """Search original pictures for proposals in the resized ones; `None` where none are kept (`Search.kept`)."""
        search = self.model.search
        if search is None or not search.kept:
            return None
        sizes = [(image.shape[-2], image.shape[-1]) for image in images]
        return [
            scale_boxes(search.boxes(image), size, self.preprocess.resized(size))
            for image, size in zip(images, sizes, strict=True)
        ]

    def together(
        self, images: Resized, sizes: Sequence[tuple[int, int]], proposals: Sequence[Tensor] | None = None
    ) -> list[Prepared]:
        """Put resized pictures of one size together as inputs: none is padded to another's size.

        `sizes` are those of the original pictures, `proposals` boxes in the resized ones.
        """
        groups: dict[tuple[int, ...], list[int]] = {}
        for place, image in enumerate(images):
            groups.setdefault(tuple(image.shape), []).append(place)
        return [
            Prepared(
                places,
                self.inputs(
                    torch.stack([images[place] for place in places]),
                    None if proposals is None else [proposals[place] for place in places],
                ),
                [sizes[place] for place in places],
            )
            for places in groups.values()
        ]

    def inputs(
        self, images: Real[Tensor, "b 3 h w"], proposals: Sequence[Float[Tensor, "_p 4"]] | None = None
    ) -> Inputs:
        """Normalise resized pictures of one size for the network, on its device.

        A system that takes proposals searches the resized pictures where none are given.
        """
        search = self.model.search
        if search is not None and proposals is None:
            proposals = [search.boxes(image) for image in images.cpu()]
        normalised = self.preprocess.normalise(images.to(self.device, non_blocking=True))
        return Inputs(
            normalised.contiguous(memory_format=torch.channels_last),
            None if proposals is None else padded(proposals).to(self.device),
        )

    def batch(self, images: Real[Tensor, "b 3 h w"], targets: Sequence[Target]) -> tuple[Inputs, list[Truth]]:
        """Make what the model learns from of resized pictures of one size, on its device.

        Proposals are those of the targets, unless one of them has none.
        """
        proposals = [target.proposals for target in targets if target.proposals is not None]
        complete = self.model.search is not None and len(proposals) == len(targets)
        return self.inputs(images, proposals if complete else None), truths_of(targets, self.device)

    def find(self, inputs: Inputs) -> Rows | Scores:
        """Find what is in a batch, in pixels of the network's input."""
        size = (inputs.images.shape[-2], inputs.images.shape[-1])
        with self._precision():
            raw = self.model(*inputs)
        found = trimmed(self.reader.find(widened(raw) if self.in_bf16 else raw, size))
        with self._precision():
            outputs: Rows | Scores = self.model.extend(raw, found)
        return widened(outputs) if self.in_bf16 else outputs

    def _precision(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.in_bf16)

    def read(self, inputs: Inputs, sizes: Sequence[tuple[int, int]]) -> list[Prediction]:
        """Read the results of a batch, in the coordinates of the original pictures of `(height, width)` in `sizes`."""
        size = (inputs.images.shape[-2], inputs.images.shape[-1])
        return list(self.reader.results(self.find(inputs), size, sizes))

    @torch.inference_mode()
    def infer(self, images: Pictures) -> list[Prediction]:
        """Find the results of RGB uint8 pictures of any sizes, in the order given, in original coordinates.

        No result depends on the other pictures of the call. The model is in evaluation mode meanwhile.
        """
        return self.infer_prepared(self.prepare(images))

    @torch.inference_mode()
    def infer_prepared(self, prepared: Sequence[Prepared]) -> list[Prediction]:
        """Find the results of prepared pictures, in the order of their places."""
        results: dict[int, Prediction] = {}
        with evaluating(self.model):
            for group in prepared:
                results.update(zip(group.places, self.read(group.inputs, group.sizes), strict=True))
        return [results[place] for place in sorted(results)]


@contextmanager
def evaluating(model: AnyModel) -> Iterator[None]:
    """Put the model in evaluation mode, and afterwards as it was."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def padded(proposals: Sequence[Float[Tensor, "_p 4"]]) -> Float[Tensor, "b p 4"]:
    """Stack the proposals of several pictures; those that have fewer get boxes of zeros."""
    most = max(len(boxes) for boxes in proposals)
    return torch.stack([F.pad(boxes, (0, 0, 0, most - len(boxes))) for boxes in proposals])


def widened(outputs: Any) -> Any:
    """Convert what a network gives from bfloat16 to float32: tensors, and tuples and lists of them."""
    if isinstance(outputs, Tensor):
        return outputs.float() if outputs.dtype == torch.bfloat16 else outputs
    if isinstance(outputs, tuple | list):
        parts = [widened(part) for part in outputs]
        return type(outputs)._make(parts) if hasattr(outputs, "_make") else type(outputs)(parts)
    return outputs


def trimmed(outputs: Rows | Scores) -> Rows | Scores:
    """Drop the rows that hold nothing in every picture, so that no head looks at them."""
    if isinstance(outputs, Scores):
        return outputs
    return outputs.first(int((outputs.scores >= 0).sum(1).max()))
