import pytest
import torch

from delineate.deploy.video.tracking import Tracker
from delineate.ops.masks import encode_rle
from delineate.values import Detections

SIZE = (100, 200)


def seen(*objects: tuple[float, float], label: int = 0) -> Detections:
    """Squares of 20 pixels, each with its left border and its score; masks of a pixel say which is which."""
    lefts, scores = torch.tensor(objects).view(-1, 2).unbind(1)
    masks = torch.zeros(len(objects), *SIZE, dtype=torch.bool)
    for row, left in enumerate(lefts.long().tolist()):
        masks[row, 50, left] = True
    return Detections(
        image_size=SIZE,
        boxes=torch.stack([lefts, torch.full_like(lefts, 40), lefts + 20, torch.full_like(lefts, 60)], 1),
        labels=torch.full((len(objects),), label),
        scores=scores,
        rles=encode_rle(masks),
    )


def test_identities_go_with_the_objects_whatever_their_order() -> None:
    tracker = Tracker(rate=10.0, min_score=0.5)
    found = []
    for number in range(12):
        right, left = (120.0 - 4 * number, 0.8), (10.0 + 4 * number, 0.9 if number % 2 else 0.7)
        frame = tracker(seen(*sorted((left, right), key=lambda one: -one[1])))
        assert frame.scores.diff().max() <= 0, "scores still descend"
        found.append({round(float(box[0])): int(track) for box, track in zip(frame.boxes, frame.tracks, strict=True)})
    assert set(found[0].values()) == {-1}, "the second frame gives identities"
    lefts, rights = (
        [frame[start + step * n] for n, frame in enumerate(found)][1:] for start, step in ((10, 4), (120, -4))
    )
    assert len(set(lefts)) == len(set(rights)) == 1
    assert lefts[0] != rights[0]


def test_what_scores_low_goes_on_with_an_identity_and_begins_none() -> None:
    tracker = Tracker(rate=10.0, min_score=0.5)
    scores = [0.9, 0.8, 0.2, 0.9]
    frames = [tracker(seen((50.0 + number, score), (150.0, 0.15))) for number, score in enumerate(scores)]
    assert [len(frame) for frame in frames] == [1, 1, 1, 1], "what was never likely is left out"
    assert len({int(frame.tracks[0]) for frame in frames[1:]}) == 1
    assert frames[2].scores[0] == pytest.approx(0.2)
    assert [mask[50].nonzero().item() for mask in frames[2].masks] == [52], "masks stay with their boxes"


def test_an_object_that_was_gone_for_long_is_another_one() -> None:
    tracker = Tracker(rate=10.0, min_score=0.5)
    before = [tracker(seen((50.0, 0.9))) for _ in range(3)][-1].tracks
    short = [tracker(frame) for frame in [seen()] * 3 + [seen((50.0, 0.9))]][-1].tracks
    long = [tracker(frame) for frame in [seen()] * 30 + [seen((50.0, 0.9))] * 3][-1].tracks
    assert before.tolist() == short.tolist() != long.tolist()
    assert min(before.tolist()) >= 0


def test_an_identity_is_of_one_class() -> None:
    tracker = Tracker(rate=10.0, min_score=0.5)
    first = [tracker(seen((50.0, 0.9))) for _ in range(3)][-1].tracks.tolist()
    other = [tracker(seen((50.0, 0.9), label=2)) for _ in range(3)][-1].tracks.tolist()
    again = tracker(seen((50.0, 0.9))).tracks.tolist()
    assert first == again != other
    assert min(first + other) >= 0


def test_a_frame_without_objects_has_no_identities() -> None:
    frame = Tracker(rate=10.0, min_score=0.5)(seen())
    assert frame.tracks is not None
    assert len(frame) == len(frame.tracks) == 0
