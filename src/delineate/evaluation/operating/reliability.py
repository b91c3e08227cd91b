"""What a score means: of detections of such a score, the share that is right.

Isotonic regression (Zadrozny & Elkan 2002, Transforming Classifier Scores into Accurate Multiclass Probability
Estimates) makes of scores the shares that fit best among all that rise with them.
"""

import numpy as np
from jaxtyping import Bool, Float64
from sklearn.isotonic import IsotonicRegression

from delineate.evaluation.operating.points import Judged
from delineate.system.operating import Reliability

NUM_BINS, FOLDS, ENOUGH = 10, 5, 100
"""With fewer than `ENOUGH` detections a class has no curve of its own."""


def reliability(one: Judged) -> Reliability:
    """Fit the share of right detections to their scores, and count it in bins; there is a detection."""
    fitted = _fitted(one.scores, one.right)
    return Reliability(
        scores=tuple(fitted.X_thresholds_.tolist()),
        shares=tuple(fitted.y_thresholds_.tolist()),
        bins=tuple(bins(one.scores, one.right)),
    )


def bins(scores: Float64[np.ndarray, " d"], right: Bool[np.ndarray, " d"]) -> list[tuple[float, float, int]]:
    """Give mean score, share that is right and number of detections of each tenth of 0..1 that has some."""
    places = np.minimum((scores * NUM_BINS).astype(int), NUM_BINS - 1)
    return [
        (float(scores[places == place].mean()), float(right[places == place].mean()), int((places == place).sum()))
        for place in np.unique(places)
    ]


def calibration_error(scores: Float64[np.ndarray, " d"], right: Bool[np.ndarray, " d"]) -> float:
    """Compute how far scores are from the share that is right, over bins, each by its number of detections.

    Guo et al. 2017, On Calibration of Modern Neural Networks, equation 3: the expected calibration error.
    """
    return sum(count * abs(score - share) for score, share, count in bins(scores, right)) / max(len(scores), 1)


def shares_by_others(every: Judged, enough: list[bool], seed: int = 0) -> Float64[np.ndarray, " d"]:
    """Compute the share of each detection by curves of other pictures, as new pictures would be given it.

    The pictures are dealt into folds. A class with `enough` detections has a curve of its own.
    """
    folds = np.random.default_rng(seed).permutation(len(every.objects)) % FOLDS
    of_detections, result = folds[every.pictures], every.scores.copy()
    for fold in range(FOLDS):
        mine = of_detections == fold
        if mine.all() or not mine.any():
            continue
        pooled = _fitted(every.scores[~mine], every.right[~mine])
        for label in np.unique(every.labels[mine]):
            own, rows = ~mine & (every.labels == label), mine & (every.labels == label)
            curve = _fitted(every.scores[own], every.right[own]) if enough[label] and own.any() else pooled
            result[rows] = curve.predict(every.scores[rows])
    return result


def _fitted(scores: Float64[np.ndarray, " d"], right: Bool[np.ndarray, " d"]) -> IsotonicRegression:
    return IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, right.astype(float))
