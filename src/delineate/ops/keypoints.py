"""Keypoints become cells of a heatmap over their RoI, and heatmaps keypoints again."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from delineate.ops.compiling import compiled


def keypoint_cells(
    keypoints: Float[Tensor, "n k 2"], visibility: Int64[Tensor, "n k"], rois: Float[Tensor, "n 4"], size: int
) -> tuple[Int64[Tensor, "n k"], Bool[Tensor, "n k"]]:
    """Find the cell `y * size + x` in which each keypoint lies, and whether it counts: annotated and inside.

    RoI and heatmap of `(size, size)` cover the same square; the RoI's right and lower edges belong to the last cells.
    The cell of a keypoint that does not count is 0. He et al. 2017, Mask R-CNN, section 5 (one-hot targets).
    """
    places = (keypoints - rois[:, None, :2]) * (size / (rois[:, 2:] - rois[:, :2]))[:, None]
    places = places.floor().masked_fill(keypoints == rois[:, None, 2:], size - 1)
    counts = ((places >= 0) & (places < size)).all(dim=2) & (visibility > 0)
    x, y = places.where(counts[..., None], 0).long().unbind(dim=2)
    return y * size + x, counts


def decode_heatmaps(
    heatmaps: Float[Tensor, "n k s s"], rois: Float[Tensor, "n 4"]
) -> tuple[Float[Tensor, "n k 2"], Float[Tensor, "n k"]]:
    """Find where in the picture each heatmap, enlarged bicubically to its RoI, is highest, and the logit of that place.

    The enlarged map has whole pixels, as many as the RoI's sides rounded up; a place is the centre of one. Runs on the
    CPU, wherever the maps are. He et al. 2017, Mask R-CNN, section 5, with the enlargement of Detectron.
    """
    logits = heatmaps.detach().float().cpu().numpy()
    rois = rois.detach()
    sides = (rois[:, 2:] - rois[:, :2]).float().clamp(min=1)
    pixels = sides.ceil().long()
    peaks, scores = np.zeros((*logits.shape[:2], 2), np.float32), np.zeros(logits.shape[:2], np.float32)
    for roi, (width, height) in enumerate(pixels.tolist()):
        _peaks(logits[roi], height, width, peaks[roi], scores[roi])
    centres = (torch.from_numpy(peaks).to(rois.device) + 0.5) * (sides / pixels)[:, None]
    return centres + rois[:, None, :2], torch.from_numpy(scores).to(heatmaps.device)


@compiled
def _cubic_taps(length: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute for each of `length` pixels over `size` values the index of the value before it, from -1 on, and weights.

    The four weights are of that value, the one before it, and the next two; Keys 1981, equation 4 with a = -3/4.
    """
    before = np.empty(length, np.int64)
    weights = np.empty((length, 4), np.float32)
    a = np.float32(-0.75)
    half, one, two = np.float32(0.5), np.float32(1), np.float32(2)
    for pixel in range(length):
        place = (np.float32(pixel) + half) * (np.float32(size) / np.float32(length)) - half
        before[pixel] = int(np.floor(place))
        near = place - np.floor(place)
        for first, distance in ((1, near), (2, one - near)):
            weights[pixel, first] = ((a + two) * distance - (a + two + one)) * distance * distance + one
        for first, distance in ((0, near + one), (3, two - near)):
            cube = ((a * distance - np.float32(5) * a) * distance + np.float32(8) * a) * distance
            weights[pixel, first] = cube - np.float32(4) * a
    return before, weights


@compiled
def _peaks(heatmaps: np.ndarray, height: int, width: int, peaks: np.ndarray, scores: np.ndarray) -> None:
    """Write `(x, y)` and the value of the highest pixel, the first of equals, of each map enlarged.

    A pixel is a weighted sum of 4 x 4 values. Its weights sum to 1 and the negative ones to no less than -0.4453 (both
    weights at the half are -3/32 and 19/32), which bounds it by the largest and smallest of the four rows. So most
    stretches between two rows cannot hold the peak, and are skipped; the one below the highest value comes first.
    """
    size = heatmaps.shape[1]
    before_x, weights_x = _cubic_taps(width, size)
    before_y, weights_y = _cubic_taps(height, size)
    starts = np.searchsorted(before_y, np.arange(-1, size + 1))
    lines = np.empty((size, width), np.float32)
    for k in range(len(heatmaps)):
        done = np.zeros(size, np.bool_)
        highest = np.array([row.max() for row in heatmaps[k]])
        lowest = np.array([row.min() for row in heatmaps[k]])
        first = highest.argmax()
        best, best_x, best_y = np.float32(-np.inf), 0, 0
        for turn in range(-1, size + 1):
            above = first if turn < 0 else turn - 1
            top, bottom = max(above - 1, 0), min(above + 3, size)
            high, low = highest[top:bottom].max(), lowest[top:bottom].min()
            if turn == first + 1 or starts[above + 1] == starts[above + 2] or high + 0.46 * (high - low) < best:
                continue
            for row in range(top, bottom):
                if not done[row]:
                    done[row] = True
                    _enlarge(heatmaps[k, row], before_x, weights_x, lines[row])
            rows = [min(max(above - 1 + tap, 0), size - 1) for tap in range(4)]
            for y in range(starts[above + 1], starts[above + 2]):
                w = weights_y[y]
                for x in range(width):
                    value = (
                        w[0] * lines[rows[0], x]
                        + w[1] * lines[rows[1], x]
                        + w[2] * lines[rows[2], x]
                        + w[3] * lines[rows[3], x]
                    )
                    if value > best or (value == best and y < best_y):
                        best, best_x, best_y = value, x, y
        peaks[k, 0], peaks[k, 1], scores[k] = best_x, best_y, best


@compiled
def _enlarge(values: np.ndarray, before: np.ndarray, weights: np.ndarray, line: np.ndarray) -> None:
    """Write one row enlarged; the outermost values continue."""
    last = len(values) - 1
    for x in range(len(line)):
        total = np.float32(0)
        for tap in range(4):
            total += weights[x, tap] * values[min(max(before[x] - 1 + tap, 0), last)]
        line[x] = total
