"""What the doctor can find is one table: each kind has a name, a severity, what it is, and its mend."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

Severity = Literal["error", "warning", "note"]
Group = Literal["files", "annotations", "splits", "with a run"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
GROUPS: tuple[Group, ...] = ("files", "annotations", "splits", "with a run")


class Kind(NamedTuple):
    """An error ends a training or makes it learn what is false; a warning is left out, changed or doubtful.

    A note is no trouble: it is said because somebody may not know it. `fixed` says what `--fix` does, if anything, and
    `by_hand` why it leaves some or all to be done by hand.
    """

    group: Group
    severity: Severity
    title: str
    mend: str
    fixed: str = ""
    by_hand: str = ""

    @property
    def outcome(self) -> str:
        """Say what becomes of it in a mended copy."""
        reason = f"by hand: {self.by_hand}" if self.by_hand else ""
        return "; else ".join(part for part in (self.fixed, reason) if part)


KINDS: Mapping[str, Kind] = {
    # files
    "unreadable": Kind(
        "files",
        "error",
        "pictures that cannot be read",
        "replace the files, or remove them (--skip-unreadable)",
        "left out with their annotation",
    ),
    "truncated": Kind(
        "files",
        "error",
        "pictures that end too early",
        "copy them again, or remove them (--skip-unreadable)",
        "left out with their annotation",
    ),
    "wrong-suffix": Kind(
        "files",
        "warning",
        "pictures of another format than their suffix says",
        "rename them: other tools go by the suffix",
        "renamed, and their names in the annotation",
    ),
    "turned": Kind(
        "files",
        "warning",
        "pictures that EXIF turns, with annotations that do not say of which picture they are",
        "look at one: where boxes lie beside their objects, remove the mark (exiftool -Orientation= FOLDER)",
        fixed="EXIF's mark taken off where all objects lie in the picture as stored, and not in the turned one",
        by_hand="training takes the annotation for that of the turned picture; nothing says whether it is",
    ),
    "size-differs": Kind(
        "files",
        "error",
        "pictures of another size than their annotation says",
        "take the pictures that were annotated, or remove EXIF's mark where they are turned",
        "EXIF's mark taken off where the annotation is of the picture as stored",
        by_hand="nothing says whether the picture or the annotation is right; training refuses it",
    ),
    "picture-without-annotation": Kind(
        "files",
        "warning",
        "pictures without annotation",
        "add the annotation, or remove the pictures",
        by_hand="only a look tells whether there is nothing in them",
    ),
    "annotation-without-picture": Kind(
        "files",
        "warning",
        "annotations without picture",
        "put the pictures there, or remove the entries",
        "entries left out",
    ),
    "in-no-split": Kind(
        "files",
        "warning",
        "pictures in no split",
        "add them to a list or a folder of a split",
        by_hand="where they belong is a choice; training passes them over",
    ),
    "unread-kind": Kind(
        "files",
        "warning",
        "pictures of a kind that is not read",
        "save them as PNG or JPEG",
        by_hand="what is not read cannot be saved otherwise; training passes them over",
    ),
    "dead-link": Kind("files", "warning", "links to no file", "copy the files", "left out"),
    "names-alike": Kind(
        "files",
        "warning",
        "pictures whose names differ in capitals or the form of letters alone",
        "rename one of each: on other machines they are the same file",
        by_hand="which of the names stays is a choice",
    ),
    "other-capitals": Kind(
        "files",
        "warning",
        "pictures that are called otherwise in the annotation",
        "correct the names",
        "called as their files",
    ),
    "same-stem": Kind(
        "files",
        "error",
        "pictures that share one annotation",
        "rename one of each, and its annotation",
        by_hand="nothing says whose annotation it is",
    ),
    "outside-folder": Kind(
        "files",
        "warning",
        "pictures outside of the folder",
        "move them into it: a copy of the folder lacks them",
        by_hand="they may belong to another data set",
    ),
    "listed-twice": Kind("files", "warning", "pictures that are named twice", "name each once", "named once"),
    "broken-annotation": Kind(
        "files",
        "error",
        "annotations that cannot be read",
        "correct what is named, by hand",
        by_hand="what it said is not known",
    ),
    # annotations
    "not-a-number": Kind(
        "annotations",
        "error",
        "objects with something that is no number (null, NaN, infinity, a word)",
        "correct it",
        "objects left out",
    ),
    "number-as-text": Kind(
        "annotations", "note", "objects with numbers written as texts", "write numbers", "written as numbers"
    ),
    "broken-row": Kind("annotations", "error", "objects that cannot be understood", "correct them", "objects left out"),
    "degenerate": Kind("annotations", "warning", "boxes without area", "remove them", "objects left out"),
    "swapped": Kind(
        "annotations", "warning", "boxes whose corners are exchanged", "exchange them", "corners put in order"
    ),
    "outside": Kind(
        "annotations",
        "error",
        "boxes outside of their picture",
        "take the pictures that were annotated, or remove the objects",
        "objects left out",
    ),
    "reaches-out": Kind(
        "annotations", "warning", "boxes that reach out of their picture", "cut them at its borders", "cut"
    ),
    "duplicated": Kind("annotations", "warning", "objects that are there twice", "keep one of each", "kept once"),
    "normalised": Kind(
        "annotations",
        "error",
        "boxes in 0..1 where pixels are meant",
        "multiply x by the width and y by the height",
        "multiplied",
    ),
    "not-normalised": Kind(
        "annotations",
        "error",
        "coordinates outside 0..1 where shares of the picture are meant",
        "divide x by the width and y by the height",
        "boxes and poses divided, other lines left out",
    ),
    "unknown-category": Kind(
        "annotations",
        "error",
        "objects of a category that has no name",
        "add its name to the list of the classes, or correct the objects",
        "objects left out",
    ),
    "ids-mixed": Kind(
        "annotations",
        "error",
        "category ids counted from 0 and from 1",
        "count all from the same number: the first class is 0 in YOLO, and the same in all files of COCO",
        by_hand="a wrong guess would shift all classes",
    ),
    "class-names-alike": Kind(
        "annotations",
        "warning",
        "classes whose names differ in capitals or blanks alone",
        "give them one name",
        "called by the more frequent name",
    ),
    "nameless-category": Kind(
        "annotations",
        "warning",
        "classes without a name of their own",
        "name them",
        by_hand="no name is guessed",
    ),
    "names-read-as": Kind(
        "annotations",
        "warning",
        "a list of classes that had to be guessed",
        "write it as a list",
        by_hand="training reads it as is said; whether that is meant is not in the file",
    ),
    "unused-category": Kind("annotations", "note", "categories that are no class", "remove them", "left out"),
    "box-not-mask": Kind(
        "annotations",
        "warning",
        "boxes that do not fit their mask",
        "see which is right",
        "boxes made those around the masks",
    ),
    "short-polygon": Kind(
        "annotations",
        "warning",
        "polygons of fewer than three points",
        "remove them, or draw them again",
        "polygons left out",
    ),
    "rle-size": Kind(
        "annotations",
        "error",
        "masks of another size than their picture",
        "encode them at the picture's height and width",
        "masks left out, whose boxes stay",
    ),
    "broken-mask": Kind(
        "annotations", "error", "masks that cannot be read", "draw them again", "masks left out, whose boxes stay"
    ),
    "mask-missing": Kind(
        "annotations",
        "warning",
        "objects without mask among others that have one",
        "draw their masks",
        by_hand="no mask is made up; training takes the box",
    ),
    "shape-left-out": Kind("annotations", "note", "something of the objects is not read", "see whether it is needed"),
    "crowds": Kind("annotations", "note", "crowds, which are neither learned nor measured", "nothing need be done"),
    "difficult": Kind(
        "annotations", "note", "difficult objects, which are neither learned nor measured", "nothing need be done"
    ),
    "same-ids": Kind(
        "annotations",
        "warning",
        "annotations with the id of another",
        "give each its own",
        "given numbers of their own",
        by_hand="another file of the split names objects by their ids, or the ids are texts",
    ),
    "picture-twice": Kind(
        "annotations", "warning", "several entries of one picture", "make one of them, with all objects", "made one"
    ),
    "visibility": Kind(
        "annotations",
        "error",
        "objects with a visibility that is not 0, 1 or 2",
        "0 is not annotated, 1 hidden, 2 visible",
        "made 2 where it is more",
    ),
    "keypoints-outside": Kind(
        "annotations",
        "warning",
        "objects with keypoints out of the picture",
        "see whether they are pixels of this picture",
        fixed="made not annotated, as training takes them",
    ),
    "keypoints-off-box": Kind(
        "annotations",
        "warning",
        "objects with keypoints far out of their box",
        "see which is right",
        by_hand="training learns both as they are, and nothing says which is right",
    ),
    "keypoint-never": Kind(
        "annotations",
        "warning",
        "keypoints that no object has",
        "take them out of the list, or annotate them",
        by_hand="nothing says whether the list is right, or the annotations",
    ),
    "left-right": Kind(
        "annotations",
        "warning",
        "pairs of keypoints with left and right exchanged in most objects",
        "exchange their names, or their numbers",
        by_hand="a majority is no proof: the bodies may stand with their backs to us",
    ),
    "no-sides": Kind(
        "annotations",
        "warning",
        "keypoints of which nothing says what is left and right",
        "call them as in left_eye and right_eye (YOLO: write flip_idx)",
        by_hand="no sides are guessed; training exchanges none in mirrored pictures",
    ),
    "skeleton-from-0": Kind("annotations", "note", "a skeleton counted from 0", "count from 1", "counted from 1"),
    "unnamed-value": Kind(
        "annotations",
        "error",
        "label maps with values that have no name",
        "name the values in classes.txt, in order",
        by_hand="no class is guessed; training refuses it",
    ),
    "antialiased": Kind(
        "annotations",
        "error",
        "label maps with blended values at borders",
        "save them without smoothing: resize by nearest neighbour, and draw without antialiasing",
        by_hand="what was below the blended values is lost",
    ),
    "label-map-kind": Kind(
        "annotations",
        "error",
        "label maps that are no PNG of one value a pixel",
        "save the original label maps as PNG, a class value a pixel",
        by_hand="classes cannot be told from colours, nor from changed values",
    ),
    "values-unnamed": Kind(
        "annotations",
        "error",
        "values of label maps that nothing names",
        "write classes.txt, one name a line",
        by_hand="no class is guessed; training refuses it",
    ),
    "value-doubt": Kind(
        "annotations",
        "warning",
        "values of label maps that may mean something else",
        "see classes.txt",
        by_hand="what a value means is not in the files",
    ),
    "two-values": Kind("annotations", "note", "label maps of 0 and 255 alone", "nothing need be done"),
    # splits
    "leak": Kind(
        "splits",
        "error",
        "pictures that are in another split, too, as they are or nearly so",
        "divide again: what looks the same belongs into one part (delineate split)",
        "left out of the split that is learned from",
    ),
    "class-missing": Kind(
        "splits",
        "warning",
        "classes that a split lacks",
        "divide again by classes (delineate split), or add pictures",
        by_hand="how to divide is a choice, and it may be that pictures are missing",
    ),
    "imbalance": Kind(
        "splits", "note", "classes a hundred times rarer than the most frequent", "add pictures of the rare ones"
    ),
    "categories-differ": Kind(
        "splits",
        "error",
        "splits with other classes",
        "give all the same list, in one order",
        by_hand="nothing says which list is right",
    ),
    "nothing-to-learn": Kind(
        "splits",
        "error",
        "splits with nothing to learn from",
        "see what is left out",
        by_hand="there is nothing to mend",
    ),
    "nothing-to-measure": Kind(
        "splits",
        "warning",
        "splits with nothing to measure",
        "see what is left out",
        by_hand="there is nothing to mend",
    ),
    "split-missing": Kind(
        "splits",
        "warning",
        "splits that are named and not there",
        "add them, or correct the path",
        by_hand="what is not there cannot be made",
    ),
    "guessed": Kind("splits", "note", "something was guessed", "see whether it is right"),
    "too-small": Kind(
        "splits",
        "warning",
        "objects below a pixel at the size that the system sees",
        "choose a larger --image-size or --short-side",
        by_hand="it is a choice of the system's options",
    ),
    "unmatched": Kind(
        "splits",
        "warning",
        "objects that no anchor, cell, place or query has to itself",
        "choose a larger --image-size or --short-side, other anchors, or another system",
        by_hand="it is a choice of the system's options",
    ),
    # with a run
    "run-missed": Kind("with a run", "note", "objects that the run does not find", "see whether they are there"),
    "run-extra": Kind("with a run", "note", "objects that the run finds and nobody annotated", "add what is missing"),
    "run-class": Kind("with a run", "note", "objects of another class to the run", "see which class is right"),
    "run-place": Kind("with a run", "note", "objects that lie elsewhere to the run", "see whose box is right"),
    "run-pixels": Kind("with a run", "note", "label maps of which the run sees most otherwise", "see which is right"),
}
