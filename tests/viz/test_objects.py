import torch
from PIL import Image, ImageDraw

from delineate.values import Categories, Detections, Target
from delineate.viz.objects import draw_names, object_line_width
from delineate.viz.palette import palette
from delineate.viz.text import font_size, line_width, readable_on, text_size

CATEGORIES = Categories(class_names=("disc", "Würfel"))


def found(boxes: list[list[float]], image_size: tuple[int, int]) -> Detections:
    count = len(boxes)
    labels, scores = torch.arange(count) % 2, torch.linspace(0.9, 0.5, count)
    return Detections(image_size=image_size, boxes=torch.tensor(boxes), labels=labels, scores=scores)


def named(target: Target | Detections) -> list[int]:
    """How many pixels of the names have each class's colour."""
    canvas = Image.new("RGB", target.image_size[::-1])
    draw_names(ImageDraw.Draw(canvas), target, CATEGORIES)
    pixels = list(zip(*[iter(canvas.tobytes())] * 3, strict=True))
    return [pixels.count(tuple(color)) for color in palette(2).tolist()]


def test_of_two_names_in_one_place_the_better_score_stays() -> None:
    tight = [[10.0, 10, 100, 30], [10.0, 10, 100, 30]]
    first, second = named(found(tight, (30, 110)))
    assert first > 100
    assert second == 0


def test_the_second_name_moves_where_there_is_space() -> None:
    first, second = named(found([[10.0, 40, 150, 150], [10.0, 40, 150, 150]], (200, 200)))
    assert first > 100
    assert second > 100


def test_names_larger_than_their_object_are_left_out_and_scores_before_names() -> None:
    assert named(found([[10.0, 40, 18, 48]], (200, 200)))[0] == 0
    with_score, without_score = (
        named(found([[10.0, 40, 150, 150]], (200, 200)))[0],
        named(found([[10.0, 40, 30, 60]], (200, 200)))[0],
    )
    assert 0 < without_score < with_score


def test_in_large_pictures_letters_are_smaller_before_a_score_is_left_out() -> None:
    """A text with its score in full size would be larger than these objects."""
    size = (2160, 3840)
    tight, ample = (named(found([[1000.0, 1000, 1000 + side, 1000 + side]], size))[0] for side in (150, 600))
    name_alone = text_size("disc", font_size(size))[0]
    assert 0 < tight < ample
    canvas = Image.new("RGB", size[::-1])
    draw_names(ImageDraw.Draw(canvas), found([[1000.0, 1000, 1150, 1150]], size), CATEGORIES)
    left, _, right, _ = canvas.getbbox()
    assert right - left > 1.2 * name_alone


def test_letters_and_lines_grow_with_the_picture() -> None:
    assert [line_width(size) for size in ((64, 64), (480, 640), (3000, 4000))] == [1, 2, 12]
    assert [font_size(size) for size in ((64, 64), (480, 640), (3000, 4000))] == [9, 14, 86]


def test_lines_leave_small_objects_to_be_seen() -> None:
    small, large = [100.0, 100, 136, 148], [100.0, 100, 900, 800]
    assert object_line_width(found([large, large, small], (3000, 4000))) == 12
    assert object_line_width(found([large, small, small], (3000, 4000))) == 3
    assert object_line_width(found([[5.0, 5, 7, 7]], (480, 640))) == 1
    assert object_line_width(found([small], (480, 640))) == 2


def test_a_text_has_the_height_of_every_other_and_its_own_width() -> None:
    assert text_size("gaj", 20)[1] == text_size("no", 20)[1]
    assert text_size("Würfel Würfel", 20)[0] > 1.9 * text_size("Würfel", 20)[0]


def test_letters_contrast_with_their_background() -> None:
    assert readable_on((240, 228, 66)) == (17, 20, 24)
    assert readable_on((0, 90, 150)) == (255, 255, 255)
