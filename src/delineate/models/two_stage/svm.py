"""R-CNN learns an SVM a class with hard negatives, and a ridge regression of boxes, by no gradient descent.

    proposals and objects of all training pictures ─┬─► features, on disk ─► SVMs ◄─► hard negatives
                                                    └─► last maps of those near an object, on disk ─► ridge regression

N  boxes of all pictures    D  features of a box    E  values of its last map    C  classes

Girshick et al. 2014, R-CNN, sections 2.3 and 3.5, appendices B and C; what the paper leaves open is as in the authors'
released code: the hinge loss, the constants below, and the features' scale.

Deviations: features are standardised before they are scaled; all negatives found in a pass over the pictures are added
at its end, not every 2,000; flipped pictures are not looked at; where the last map has more values than the paper's, as
many are averaged to one as are needed (`BoxHead.pooled`), and deltas are not decorrelated.
"""

import math
import tempfile
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int8, Int64
from torch import Tensor, nn
from torchvision.ops import box_iou

from delineate.models.contract import Batches, Inputs, Say
from delineate.models.two_stage.heads.box import WEIGHTS, BoxHead
from delineate.nn.matching import IGNORED_COVER
from delineate.ops.boxes import coverage, encode_boxes
from delineate.values import Truth

NEGATIVE_IOU = 0.3  # below it a proposal is a negative (section 2.3)
REGRESSION_IOU = 0.6  # from it on a proposal is regressed to its object (appendix C)
NORM = 20.0  # of the features, which COST and RIDGE are made for
COST = 1e-3  # of a unit of an example's loss, liblinear's C
POSITIVE_WEIGHT = 2.0  # of a positive's loss
BIAS_SCALE = 10.0  # a bias counts as the weight of a feature of this size
RIDGE = 1000.0
HARD, EASY = -1.0, -1.2  # margins above which a negative is added, and below which it is dropped
PASSES = 3
FEW = 0.01  # another pass is made while it adds more than this share of a class's negatives
FIRST, FIRST_RATIO = 1000, 5  # random negatives to begin with: this many, or as many for each positive
NOWHERE = -10.0  # the margin of a class that was never seen
CACHE = 2**31  # bytes on disk
VALUES = 2**24  # numbers that one SVM is fitted to at a time
BLOCK = 8192

POSITIVE, NEGATIVE, NEITHER = 1, -1, 0


class Described(NamedTuple):
    """The proposals of a picture and, after them, its objects have these features; the proposals have these maps."""

    proposals: Float[Tensor, "p 4"]
    features: Float[Tensor, "p_and_g d"]
    maps: Float[Tensor, "p e"] | None = None


class Moves(NamedTuple):
    """Boxes lead to an object of a class by deltas in the box head's units; `rows` say which boxes."""

    rows: Int64[Tensor, " m"]
    labels: Int64[Tensor, " m"]
    deltas: Float[Tensor, "m 4"]


class Examples(NamedTuple):
    """Examples are float16 features and maps, on disk; `roles` say what a box is to each class's SVM.

    The rows of `moves` are those of the `maps`, of which there are none where boxes are not regressed.
    """

    features: Float[Tensor, "n d"]
    roles: Int8[Tensor, "n c"]
    maps: Float[Tensor, "m e"]
    moves: Moves


class Affine(NamedTuple):
    """It gives K outputs `weight @ x + bias`."""

    weight: Float[Tensor, "k d"]
    bias: Float[Tensor, " k"]


class Scale(NamedTuple):
    """`(x - mean) * factor` gives features of mean zero, each of one deviation, and of length `NORM` together."""

    mean: Float[Tensor, " d"]
    factor: Float[Tensor, " d"]

    def __call__(self, features: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        return (features.double() - self.mean) * self.factor

    def folded(self, scaled: Affine) -> Affine:
        """Make what gives of features as they are the outputs that `scaled` gives of scaled ones."""
        weight = scaled.weight * self.factor
        return Affine(weight, scaled.bias - weight @ self.mean)


@torch.no_grad()
def fit_box_head(
    head: BoxHead,
    describe: Callable[[Inputs, Sequence[Truth]], Iterable[Described]],
    batches: Batches,
    folder: Path,
    say: Say,
) -> None:
    """Put SVMs and, where boxes come from maps, box regression in the place of the head's last layers.

    The head is in evaluation mode. What is seen is kept in files in `folder` that have no name and vanish with their
    process at the latest.
    """
    with tempfile.TemporaryFile(dir=folder) as file, tempfile.TemporaryFile(dir=folder) as file_of_maps:
        examples = collect(head, describe, batches, file, file_of_maps, say)
        scale = standardise(examples.features)
        _fill(head.classify, scale.folded(fit_svms(examples.features, examples.roles, scale, say)))
        head.one_vs_rest.fill_(True)
        if head.boxes_from == "map":
            scale = standardise(examples.maps)
            _fill(head.regress, scale.folded(fit_ridge(examples.maps, examples.moves, scale, head.num_classes)))
            say(f"box regression: fitted to {len(examples.moves.rows)} proposals near an object")


def _fill(layer: nn.Linear, fitted: Affine) -> None:
    """Put what was fitted into the first rows of a layer, and zeros into the others."""
    layer.weight.zero_()
    layer.bias.zero_()
    layer.weight[: len(fitted.weight)] = fitted.weight.to(layer.weight)
    layer.bias[: len(fitted.bias)] = fitted.bias.to(layer.bias)


def collect(
    head: BoxHead,
    describe: Callable[[Inputs, Sequence[Truth]], Iterable[Described]],
    batches: Batches,
    file: IO[bytes],
    file_of_maps: IO[bytes],
    say: Say,
    *,
    limit: int = CACHE,
) -> Examples:
    """Describe the boxes of all pictures, each once, and write their features to `file`, the maps to another.

    Where the features would take more than `limit` bytes, each picture keeps its objects and those proposals that the
    head, as it was trained, finds likeliest to be one; where the maps would, the first of each picture.
    """
    room, room_for_maps = limit // (2 * head.num_features + head.num_classes), limit // (2 * head.regress.in_features)
    roles, moves, stored, seen = [torch.zeros(0, head.num_classes, dtype=torch.int8)], [_no_moves()], 0, 0
    mapped = 0
    for turn, (inputs, truths) in enumerate(batches):
        for number, (described, truth) in enumerate(zip(describe(inputs, truths), truths, strict=True)):
            # what earlier pictures left is for those to come
            pictures = (len(batches) - turn) * len(truths) - number
            kept = _likeliest(head, described, (room - stored) // pictures)
            proposals, on_cpu = described.proposals.cpu(), truth.to("cpu")
            features = torch.cat([described.features[kept], described.features[len(proposals) :]])
            file.write(_halves(features))
            roles.append(svm_roles(proposals[kept.cpu()], on_cpu, head.num_classes))
            stored, seen = stored + len(features), seen + len(described.features)
            if described.maps is not None:
                moved = [part[: (room_for_maps - mapped) // pictures] for part in box_moves(proposals, on_cpu)]
                file_of_maps.write(_halves(described.maps[moved[0].to(described.maps.device)]))
                count = len(moved[0])
                moves.append(Moves(torch.arange(mapped, mapped + count), *moved[1:]))
                mapped += count
    file.flush()
    file_of_maps.flush()
    dropped = f", the likeliest of {seen}: all would take more than {limit / 2**30:.1f} GiB" if stored < seen else ""
    say(f"features of {stored} boxes{dropped}")
    return Examples(
        _mapped(file, stored, head.num_features),
        torch.cat(roles),
        _mapped(file_of_maps, mapped, head.regress.in_features),
        Moves(*map(torch.cat, zip(*moves, strict=True))),
    )


def _halves(values: Float[Tensor, "n d"]) -> bytes:
    largest = torch.finfo(torch.float16).max
    return values.clamp(-largest, largest).half().cpu().numpy().tobytes()


def _likeliest(head: BoxHead, described: Described, share: int) -> Int64[Tensor, " k"]:
    """Choose the rows of the proposals to keep, so that they and the objects are no more than `share`."""
    num_proposals = len(described.proposals)
    count = max(0, share - (len(described.features) - num_proposals))
    if count >= num_proposals:
        return torch.arange(num_proposals, device=described.features.device)
    scores = head.probabilities(head.classify(described.features[:num_proposals]).float()).amax(1)
    return scores.topk(count).indices.sort().values


def _mapped(file: IO[bytes], rows: int, columns: int) -> Float[Tensor, "n d"]:
    if not rows:
        return torch.zeros(0, columns, dtype=torch.float16)
    return torch.from_numpy(np.memmap(file, np.float16, mode="r+", shape=(rows, columns)))


def svm_roles(proposals: Float[Tensor, "p 4"], truth: Truth, num_classes: int) -> Int8[Tensor, "p_and_g c"]:
    """Tell whether proposals, and after them objects, are each class's positive, its negative or neither.

    An object is its class's positive, and what overlaps none of the class's by `NEGATIVE_IOU` its negative, but not
    where a crowd or a difficult object is (section 2.3, appendix B).
    """
    boxes = torch.cat([proposals, truth.boxes])
    overlaps = boxes.new_zeros(len(boxes), num_classes)
    labels = truth.labels.expand(len(boxes), -1)
    overlaps.scatter_reduce_(1, labels, box_iou(boxes, truth.boxes), "amax")
    negative = overlaps < NEGATIVE_IOU
    negative &= (coverage(boxes, truth.ignored) <= IGNORED_COVER)[:, None]
    roles = torch.where(negative, NEGATIVE, NEITHER).to(torch.int8)
    roles[len(proposals) + torch.arange(len(truth.boxes)), truth.labels] = POSITIVE
    return roles


def box_moves(proposals: Float[Tensor, "p 4"], truth: Truth) -> Moves:
    """Move each proposal to the one object that it overlaps best, by `REGRESSION_IOU` or more (appendix C)."""
    if not len(truth.boxes):
        return _no_moves()
    best, nearest = box_iou(proposals, truth.boxes).max(1)
    rows = _rows(best >= REGRESSION_IOU)
    objects = nearest[rows]
    return Moves(rows, truth.labels[objects], encode_boxes(truth.boxes[objects], proposals[rows], WEIGHTS))


def _no_moves() -> Moves:
    none = torch.zeros(0, dtype=torch.int64)
    return Moves(none, none, torch.zeros(0, 4))


def standardise(features: Float[Tensor, "n d"]) -> Scale:
    """Measure the scale of these features; one that never changes is left out, by the factor zero."""
    count = max(1, len(features))
    mean, variance = (features.new_zeros(features.shape[1], dtype=torch.float64) for _ in range(2))
    for block in torch.split(features, BLOCK):
        mean += block.double().sum(0) / count
    for block in torch.split(features, BLOCK):
        variance += (block.double() - mean).square().sum(0) / count
    deviation = variance.sqrt()
    changes = deviation > 1e-6 * mean.abs()
    factor = torch.where(changes, NORM / math.sqrt(max(1, int(changes.sum()))) / deviation, 0.0)
    return Scale(mean, factor)


def fit_svms(features: Float[Tensor, "n d"], roles: Int8[Tensor, "n c"], scale: Scale, say: Say) -> Affine:
    """Fit each class's SVM, of scaled features, to its positives and, of its negatives, the hard ones.

    It begins with random negatives; each pass over all adds those with a margin above `HARD`, and drops those below
    `EASY` (section 2.3; Felzenszwalb et al. 2010, section 4.4). A class without positives is found nowhere.
    """
    random = torch.Generator().manual_seed(0)
    most = max(FIRST, VALUES // features.shape[1])
    num_classes = roles.shape[1]
    used = torch.zeros_like(roles, dtype=torch.bool)
    positives = [_drawn(_rows(roles[:, label] == POSITIVE), most, random) for label in range(num_classes)]
    for label, rows in enumerate(positives):
        count = min(most, max(FIRST, FIRST_RATIO * len(rows)))
        used[_drawn(_rows(roles[:, label] == NEGATIVE), count, random), label] = True
    svms = Affine(torch.zeros(num_classes, features.shape[1]).double(), torch.full((num_classes,), NOWHERE).double())
    due = [label for label in range(num_classes) if len(positives[label])]
    if len(due) < num_classes:
        say(f"SVMs: none for {num_classes - len(due)} of {num_classes} classes, of which there is no object")
    for turn in range(PASSES + 1):
        for label in due:
            weight, bias = fit_svm(features, positives[label], _rows(used[:, label]), scale)
            svms.weight[label], svms.bias[label] = weight, bias
        if turn == PASSES or not due:
            break
        added = mine(features, roles, scale, svms, used, most)
        due = [label for label in due if added[label] > FEW * int(used[:, label].sum())]
        say(f"SVMs: {int(added.sum())} hard negatives added in pass {turn + 1}, {int(used.sum())} in use")
    return svms


def mine(
    features: Float[Tensor, "n d"],
    roles: Int8[Tensor, "n c"],
    scale: Scale,
    svms: Affine,
    used: Bool[Tensor, "n c"],
    most: int,
) -> Int64[Tensor, " c"]:
    """Change, in place, which negatives are `used` for each class, `most` of them; count those added."""
    added = torch.zeros(roles.shape[1], dtype=torch.int64)
    blocks = zip(torch.split(features, BLOCK), torch.split(roles, BLOCK), torch.split(used, BLOCK), strict=True)
    for block, role, chosen in blocks:
        margins = scale(block) @ svms.weight.T + svms.bias
        hard = (role == NEGATIVE) & (margins > HARD) & ~chosen
        chosen &= margins >= EASY
        chosen |= hard
        added += hard.sum(0)
    for label in _rows(used.sum(0) > most).tolist():
        rows = _rows(used[:, label])
        margins = torch.cat([scale(features[part]) @ svms.weight[label] for part in torch.split(rows, BLOCK)])
        used[:, label] = False
        used[rows[margins.topk(most).indices], label] = True
    return added


def fit_svm(
    features: Float[Tensor, "n d"], positives: Int64[Tensor, " p"], negatives: Int64[Tensor, " q"], scale: Scale
) -> tuple[Float[Tensor, " d"], float]:
    """Fit weight and bias of the SVM between these rows; what has no negatives is everywhere."""
    if not len(negatives):
        return torch.zeros(features.shape[1]).double(), -HARD
    from sklearn.exceptions import ConvergenceWarning  # takes a second, which no other system needs
    from sklearn.svm import LinearSVC

    svm = LinearSVC(
        C=COST, loss="hinge", dual=True, class_weight={1: POSITIVE_WEIGHT}, intercept_scaling=BIAS_SCALE, random_state=0
    )
    examples = scale(features[torch.cat([positives, negatives])])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # after 1000 rounds it is near enough
        svm.fit(examples.numpy(), np.repeat([1, 0], [len(positives), len(negatives)]))
    return torch.from_numpy(svm.coef_[0].copy()), float(svm.intercept_[0])


def fit_ridge(features: Float[Tensor, "n d"], moves: Moves, scale: Scale, num_classes: int) -> Affine:
    """Fit each class's four deltas, of scaled features, by ridge regression in closed form (appendix C).

    The bias is free. What no proposal was near is left where it is. Products are in float32: there are thousands of
    features. Of fewer rows than features the dual is solved, which has an unknown a row and the same solution.
    """
    width = features.shape[1]
    fitted = Affine(torch.zeros(num_classes, 4, width).double(), torch.zeros(num_classes, 4).double())
    for label in torch.unique(moves.labels).tolist():
        of_class = moves.labels == label
        rows, deltas = moves.rows[of_class], moves.deltas[of_class].double()
        parts = torch.split(rows, BLOCK)
        mean = torch.stack([scale(features[part]).sum(0) for part in parts]).sum(0) / len(rows)
        middle = deltas.mean(0)
        centred = ((scale(features[part]) - mean).float() for part in parts)
        if len(rows) < width:
            x = torch.cat([*centred])
            weight = _solved((x @ x.T).double(), deltas - middle).T @ x.double()
        else:
            gram, cross = torch.zeros(width, width).double(), torch.zeros(width, 4).double()
            for x, delta in zip(centred, torch.split(deltas, BLOCK), strict=True):
                gram += x.T @ x
                cross += x.T @ (delta - middle).float()
            weight = _solved(gram, cross).T
        fitted.weight[label], fitted.bias[label] = weight, middle - weight @ mean
    return Affine(fitted.weight.flatten(0, 1), fitted.bias.flatten())


def _solved(gram: Float[Tensor, "k k"], cross: Float[Tensor, "k 4"]) -> Float[Tensor, "k 4"]:
    gram.diagonal().add_(RIDGE)
    return torch.cholesky_solve(cross, torch.linalg.cholesky(gram))


def _rows(where: Bool[Tensor, " n"]) -> Int64[Tensor, " m"]:
    return where.nonzero()[:, 0]


def _drawn(rows: Int64[Tensor, " n"], count: int, random: torch.Generator) -> Int64[Tensor, " m"]:
    """Draw at most `count` of the rows."""
    return rows[torch.randperm(len(rows), generator=random)[:count]] if len(rows) > count else rows
