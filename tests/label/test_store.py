from pathlib import Path

import numpy as np
import pytest
from tests.label.folders import DONE, coco_set, mask_folder, opened, patch, put, raw

from delineate.label import Conflict, Labels
from delineate.values import InputError


def first(labels: Labels) -> int:
    return labels.collection.pictures[0].id


def edit(labels: Labels, version: int, *edits: dict[str, object], client: str = "me", row: int = 0) -> int:
    return labels.edit(labels.collection.pictures[row], version, client, list(edits))


def seen(labels: Labels, row: int = 0) -> dict[str, object]:
    return labels.document(labels.collection.pictures[row])


def test_edits_are_there_after_a_kill(tmp_path: Path) -> None:
    labels = opened(raw(tmp_path))
    edit(labels, 0, put("one"), put("two", "box", (50, 20, 80, 60)))
    edit(labels, 1, put("one", box=(12, 10, 40, 30)), {"kind": "remove", "key": "two"})
    edit(labels, 2, DONE)
    before = seen(labels)
    assert [(one["key"], one["box"]) for one in before["objects"]] == [("one", [12, 10, 40, 30])]  # type: ignore
    labels.store.close()  # nothing is written but the journal, as when the process is killed
    again = opened(tmp_path, classes=())
    assert seen(again) == before
    assert again.session()["counts"] == {"pictures": 6, "done": 1, "changed": 0}


def test_a_picture_keeps_its_number_when_others_are_added(tmp_path: Path) -> None:
    labels = opened(raw(tmp_path, 3))
    numbers = {one.name: one.id for one in labels.collection.pictures}
    labels.store.close()
    again = opened(raw(tmp_path, 5))
    assert {one.name: one.id for one in again.collection.pictures} | numbers == {
        one.name: one.id for one in again.collection.pictures
    }


def test_of_two_people_the_second_sees_what_the_first_did(tmp_path: Path) -> None:
    labels = opened(raw(tmp_path))
    assert edit(labels, 0, put("one"), client="first") == 1
    with pytest.raises(Conflict) as conflict:
        edit(labels, 0, put("two"), client="second")
    assert list(conflict.value.document.objects) == ["one"]
    assert edit(labels, 1, put("two"), client="second") == 2
    assert len(seen(labels)["objects"]) == 2  # type: ignore[arg-type]


def test_what_is_posted_again_is_done_once(tmp_path: Path) -> None:
    labels = opened(raw(tmp_path))
    assert edit(labels, 0, put("one")) == 1
    assert edit(labels, 0, put("one")) == 1
    with pytest.raises(Conflict):
        edit(labels, 0, put("one"), client="another")
    labels.store.close()
    again = opened(tmp_path, classes=())
    assert edit(again, 0, put("one")) == 1
    assert len(again.store.journal.file.read_text().splitlines()) == 2


def test_nothing_of_a_bad_edit_is_kept(tmp_path: Path) -> None:
    labels = opened(raw(tmp_path))
    with pytest.raises(InputError, match="no class"):
        edit(labels, 0, put("one"), put("two", "cow"))
    with pytest.raises(InputError, match="edits"):
        edit(labels, 0, {"kind": "explode"})
    with pytest.raises(InputError, match="edits"):
        edit(labels, 0)
    assert seen(labels)["version"] == 0
    assert len(labels.store.journal.file.read_text().splitlines()) == 1


def test_edits_begin_with_what_the_data_set_says(tmp_path: Path) -> None:
    labels = opened(coco_set(tmp_path), classes=())
    row = [one.file.stem for one in labels.collection.pictures].index("busy")
    before = seen(labels, row)
    assert (before["source"], before["state"], len(before["objects"])) == ("marked", "new", 3)  # type: ignore
    edit(labels, 0, {"kind": "remove", "key": "read-1"}, row=row)
    labels.store.close()
    for file in (tmp_path / "annotations").iterdir():  # what was begun with is kept, whatever becomes of it
        file.write_text(file.read_text().replace('"iscrowd": 1', '"iscrowd": 0'))
    again = seen(opened(tmp_path, classes=()), row)
    assert again["objects"] == [one for one in before["objects"] if one["key"] != "read-1"]  # type: ignore


def test_label_maps_are_painted_in_patches(tmp_path: Path) -> None:
    labels = opened(mask_folder(tmp_path), classes=())
    picture = labels.collection.pictures[0]
    before = labels.store.label_map(picture).copy()
    assert set(np.unique(before)) == {0, 1, 2, 255}
    edit(labels, 0, patch(np.full((5, 8), 1), x=3, y=10))
    edit(labels, 1, patch(np.full((2, 2), 255), x=3, y=10))
    expected = before.copy()
    expected[10:15, 3:11] = 1
    expected[10:12, 3:5] = 255
    assert np.array_equal(labels.store.label_map(picture), expected)
    labels.store.close()
    assert np.array_equal(opened(tmp_path, classes=()).store.label_map(picture), expected)


def test_a_canvas_paints_in_red_where_it_is_not_transparent(tmp_path: Path) -> None:
    labels = opened(raw(tmp_path), task="segment")
    colours = np.zeros((2, 3, 4), np.uint8)
    colours[0] = (1, 7, 9, 255)
    edit(labels, 0, patch(colours))
    label_map = labels.store.label_map(labels.collection.pictures[0])
    assert label_map[:3, :4].tolist() == [[1, 1, 1, 2], [2, 2, 2, 2], [2, 2, 2, 2]]


@pytest.mark.parametrize(
    ("values", "place", "said"),
    [(np.full((2, 2), 3), (0, 0), "value 3 is no class"), (np.zeros((2, 2)), (90, 0), "is none in a picture")],
)
def test_a_patch_that_means_nothing_is_refused(
    tmp_path: Path, values: np.ndarray, place: tuple[int, int], said: str
) -> None:
    labels = opened(raw(tmp_path), task="segment")
    with pytest.raises(InputError, match=said):
        edit(labels, 0, patch(values, *place))
    with pytest.raises(InputError, match="no PNG"):
        edit(labels, 0, {"kind": "label_map", "png": "AAAA", "box": [0, 0, 1, 1]})
    with pytest.raises(InputError, match="has label maps"):
        edit(labels, 0, put())


def test_names_are_agreed_on(tmp_path: Path) -> None:
    opened(raw(tmp_path)).store.close()
    with pytest.raises(InputError, match="was begun with disk, box; leave --classes out"):
        opened(tmp_path, classes=("box", "disk"))
    grown = opened(tmp_path, classes=("disk", "box", "ring"))
    edit(grown, 0, put("one", "ring"))
    grown.store.close()
    assert opened(tmp_path, classes=()).session()["classes"] == ["disk", "box", "ring"]


def test_classes_are_added_and_stay(tmp_path: Path) -> None:
    labels, heard = opened(raw(tmp_path)), []
    labels.events.listen(heard.append)
    assert labels.add_class("sea star") == ["disk", "box", "sea star"]
    assert heard == [{"kind": "classes", "classes": ["disk", "box", "sea star"]}]
    edit(labels, 0, put("one", "sea star"))
    assert labels.export()["categories"][-1]["name"] == "sea star"
    for wrong in ("box", "", " x", "a,b", "a\n", "x" * 81):
        with pytest.raises(InputError, match="classes: "):
            labels.add_class(wrong)
    labels.store.close()
    for classes in ((), ("disk", "box"), ("disk", "box", "sea star", "ring")):  # as it was begun, or with more
        again = opened(tmp_path, classes=classes)
        assert again.session()["classes"] == ["disk", "box", "sea star", *classes[3:]]
        again.store.close()
    with pytest.raises(InputError, match="leave --classes out"):
        opened(tmp_path, classes=("disk", "sea star"))


def test_classes_of_data_sets_and_label_maps_stay_as_they_are(tmp_path: Path) -> None:
    for labels in (opened(coco_set(tmp_path / "a"), classes=()), opened(raw(tmp_path / "b"), task="segment")):
        assert not labels.session()["can_add_classes"]
        with pytest.raises(InputError, match="whose classes stay as they are"):
            labels.add_class("bird")


def test_an_edit_of_another_version_is_named(tmp_path: Path) -> None:
    labels = opened(raw(tmp_path, 1))
    edit(labels, 0, put("one"))
    labels.store.close()
    file = labels.store.journal.file
    file.write_text(file.read_text().replace('"kind":"put"', '"kind":"rotate"'))
    with pytest.raises(InputError, match=r"journal\.jsonl: an edit of b/0\.png cannot be read"):
        opened(tmp_path, classes=())


def test_pictures_that_are_gone_are_said(tmp_path: Path) -> None:
    labels = opened(raw(tmp_path))
    edit(labels, 0, put("one"))
    labels.store.close()
    labels.collection.pictures[0].file.unlink()
    assert "1 edit of 1 picture that are not there" in opened(tmp_path, classes=()).notes[-1]
