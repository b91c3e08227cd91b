"""Small data sets with one trouble each go through the command line, and what is said is held against what is right.

Each goes through the doctor, too: what a training says and what the doctor finds have to agree.

    python benchmarks/troubled_data.py CASES [--only NAME ...] [--doctor] [--json]

CASES is a folder with a sub-folder a case. Each has its commands below, the exit code that is right, and words that
have to be said or must not be. A traceback is never right. Prints a line a case, and exits with 1 where one is wrong.
"""

import argparse
import contextlib
import io
import json
import re
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path

from delineate.cli.app import run

TINY = "--backbone resnet10t --epochs 1 --batch-size 2 --workers 0 --out OUT/run"
SSD = f"train ssd CASE --image-size 96 {TINY}"
UNET = f"train unet CASE {TINY}"
SMALL_UNET = UNET.replace("--batch-size 2", "--batch-size 1")
POSE = f"train pose_regressor CASE --image-size 64 {TINY}"
KEYPOINTS = f"train keypoint_rcnn CASE --short-side 96 --num-rois 8 --width 16 {TINY}"
TO_COCO = "convert CASE OUT/coco --to coco"


@dataclass(frozen=True)
class Step:
    """A command is right when it ends with the code, says all of `says` and nothing of `never` (as regexes)."""

    command: str
    code: int
    says: tuple[str, ...] = ()
    never: tuple[str, ...] = ("Traceback",)


def ok(command: str, *says: str, never: tuple[str, ...] = ()) -> Step:
    return Step(command, 0, says, ("Traceback", *never))


def refused(command: str, *says: str, never: tuple[str, ...] = ()) -> Step:
    return Step(command, 2, says, ("Traceback", *never))


LOST = ("nothing was lost",)
CASES: dict[str, tuple[Step, ...]] = {
    # nothing is left to learn
    "yolo_train_labels_lost": (refused(SSD, "'train'", r"labels/train"),),
    "yolo_capital_folders": (ok(SSD, r"train: 6 pictures, [1-9]\d+ objects"), ok(TO_COCO)),
    "coco_iscrowd_string": (ok(SSD, r"train: 6 pictures, [1-9]\d+ objects"),),
    "coco_tiny_objects": (refused(SSD, "below a pixel"),),
    "voc_namespace": (ok(SSD, r"train: \d+ pictures, [1-9]\d+ objects"),),
    "voc_capital_object": (ok(SSD, r"train: \d+ pictures, [1-9]\d+ objects"),),
    "voc_swapped": (ok(SSD, r"train: \d+ pictures, [1-9]\d+ objects", r"swap"),),
    # nothing is left to measure
    "yolo_val_empty": (
        ok(SSD, "nothing to measure", "unmeasured"),
        refused("compare CASE --models ssd --budget-minutes 1 --out OUT/study", "measure"),
    ),
    "yolo_few_objects": (
        ok(
            SSD,
            "one picture with objects|held out",
        ),
    ),
    "yolo_val_truncated": (
        refused(SSD, "--skip-unreadable", never=("epoch 1",)),
        ok(f"{SSD}-2 --skip-unreadable", "1 picture|not validated|cannot be read"),
    ),
    # left out without a word
    "voc_jfif": (ok(TO_COCO),),
    "voc_picture_without_xml": (ok(TO_COCO, "XML|xml|annotation", never=LOST),),
    "voc_xml_without_picture": (ok(TO_COCO, "picture", never=LOST),),
    "yolo_one_label_missing": (ok(SSD, "label file"),),
    "mask_val_renamed": (ok(TO_MASK := "convert CASE OUT/mask --to mask_folder", "valid"),),
    "pictures": (
        ok(f"train ssd CASE/../yolo_ok --image-size 96 {TINY}"),
        refused("predict OUT/run CASE --out OUT/predictions", "phone.HEIC", "dng", "garbage|broken|error"),
    ),
    "only_heic": (refused("train ssd CASE", "HEIC|heic"),),
    "mask_jpeg": (refused(UNET, "changes values"),),
    # values that mean something else
    "mask_0_255": (ok(UNET, r"road \d"),),
    "mask_0_255_one_name": (refused(UNET, "255"),),
    # names of other tools
    "voc_labelme_classnames": (ok(TO_MASK, never=("aeroplane",)),),
    "yolo_names_empty": (refused(SSD, "names"),),
    "yolo_names_string": (Step(SSD, 2, ("names|class",)),),
    # left and right
    "yolo_pose_flip_idx": (ok(KEYPOINTS), ok("convert CASE OUT/yolo --to yolo")),
    "kp_no_names": (ok(KEYPOINTS, "keypoint"),),
    # the annotation is of another picture
    "voc_size_mismatch": (refused(SSD, r"480", r"120"),),
    "voc_exif": (refused(SSD, "EXIF"),),
    "voc_far_outside": (ok(SSD, "outside of their picture", "another size"),),
    "coco_exif": (refused(SSD, "EXIF"),),
    "coco_zero_sizes": (ok(SSD, r"train: 6 pictures, [1-9]\d+ objects"),),
    # numbers of another type
    "coco_bbox_strings": (ok(SSD, r"train: 6 pictures, [1-9]\d+ objects"),),
    "coco_category_string": (ok(SSD, r"train: 6 pictures, [1-9]\d+ objects"),),
    "coco_mixed_cat_ids": (ok(SSD, r"train: 6 pictures, [1-9]\d+ objects"),),
    "coco_names_null": (refused(SSD, "file_name"),),
    "coco_seg_nan": (refused(SSD, "annotation", "segmentation"),),
    "kp_nan": (refused(POSE, "annotation", "keypoints"),),
    "kp_null": (refused(POSE, "annotation", "keypoints"),),
    "kp_vis3": (refused(POSE, "annotation", "keypoints|visibility"),),
    "kp_skeleton0": (ok(KEYPOINTS),),
    "kp_skeleton_names": (ok(KEYPOINTS),),
    # encodings
    "voc_gb2312": (ok(SSD, r"train: \d+ pictures, [1-9]\d+ objects"),),
    "yolo_unicode_names": (ok(SSD, r"train: 6 pictures, [1-9]\d+ objects"),),
    # doubled
    "coco_picture_per_object": (ok(SSD, r"train: 6 pictures, [1-9]\d+ objects", "has one already"),),
    "yolo_duplicates": (ok(SSD, "twice|doubled|once"),),
    # resuming and fine-tuning
    "yolo_ok": (
        ok(SSD, r"train: 6 pictures"),
        refused("train --resume OUT/run ssd CASE/../yolo_other3", "data"),
        ok(
            "train ssd CASE/../yolo_perm --weights OUT/run --epochs 1 --workers 0 --out OUT/perm",
            "carried over by name",
        ),
        ok("train ssd CASE/../yolo_other3 --weights OUT/run --epochs 1 --workers 0 --out OUT/other", "begun anew"),
        refused("val OUT/run CASE/../yolo_perm", "class names"),
    ),
    "yolo_perm": (ok(SSD, r"train: 6 pictures"),),
    "yolo_other3": (ok(SSD, r"train: 6 pictures"),),
    # dense
    "nuclei_dense": (ok(SSD, "at most 400"),),
    # small batches
    "mask_two": (
        Step(
            f"{SMALL_UNET} --crop-size 32 32",
            0,
            ("batch norm|held out",),
        ),
    ),
    "mask_tiny_pictures": (ok(SMALL_UNET, "batch norm"),),
    # convert
    "coco_one_picture_missing": (
        refused(TO_COCO, "BloodImage"),
        refused("val OUT/coco OUT/coco", never=("something already",)),
    ),
    "coco_background_mask": (ok(SSD, r"train: 6 pictures, [1-9]\d+ objects"),),
    "yolo_two_exports": (ok("convert CASE/project OUT/coco --to coco"),),
}


DOCTOR: dict[str, tuple[str, ...] | None] = {
    "yolo_train_labels_lost": ("nothing-to-learn", "picture-without-annotation"),
    "coco_tiny_objects": ("unmatched",),
    "voc_swapped": ("swapped",),
    "yolo_val_empty": ("nothing-to-measure",),
    "yolo_few_objects": ("picture-without-annotation",),
    "yolo_val_truncated": ("truncated",),
    "voc_picture_without_xml": ("picture-without-annotation",),
    "voc_xml_without_picture": ("annotation-without-picture",),
    "yolo_one_label_missing": ("picture-without-annotation",),
    "mask_val_renamed": ("guessed",),
    "pictures": None,
    "only_heic": None,
    "mask_jpeg": ("label-map-kind",),
    "mask_0_255": ("two-values",),
    "mask_0_255_one_name": ("values-unnamed",),
    "yolo_names_empty": ("broken-annotation",),
    "yolo_names_string": ("names-read-as", "unknown-category"),
    "kp_no_names": ("no-sides",),
    "voc_size_mismatch": ("size-differs",),
    "voc_exif": ("size-differs",),
    "voc_far_outside": ("outside",),
    "coco_exif": ("size-differs",),
    "coco_iscrowd_string": ("number-as-text",),
    "coco_bbox_strings": ("number-as-text",),
    "coco_names_null": ("broken-annotation",),
    "coco_seg_nan": ("not-a-number",),
    "kp_nan": ("not-a-number",),
    "kp_null": ("not-a-number",),
    "kp_vis3": ("visibility",),
    "kp_skeleton0": ("skeleton-from-0",),
    "coco_picture_per_object": ("picture-twice",),
    "yolo_duplicates": ("duplicated",),
    "coco_one_picture_missing": ("annotation-without-picture",),
    "yolo_two_exports": ("guessed",),
    "coco_background_mask": ("unused-category",),
}
"""What the doctor finds of each case, at least; `None` where there is nothing to look at. Of the others, nothing."""
CHANCE = {"class-missing", "imbalance"}
"""So few pictures lack classes."""


def disagreeing(name: str, case: Path) -> list[str]:
    """Ask the doctor; gives a line where it does not say what is right, or a refusal of training is no error to it."""
    code, said = said_by(["doctor", str(case), "--json", *(["--for", "ssd"] if name == "coco_tiny_objects" else [])])
    expected = DOCTOR.get(name, ())
    if expected is None or code == 2:
        return [] if expected is None and code == 2 else [f"doctor: exit code {code}"]
    lines = [line for line in said.splitlines() if line.startswith("{")]
    if not lines:
        return [f"doctor: {said[-500:]}"]
    found = {row["id"]: row for row in json.loads(lines[-1])["findings"]}
    wrong = [f"doctor: does not find {kind}" for kind in expected if kind not in found]
    wrong += [f"doctor: finds {kind}" for kind in found if not expected and kind not in CHANCE]
    training = CASES[name][0]
    is_refused = training.code == 2 and "train" in training.command.split()[0]
    if is_refused and not any(row["severity"] in ("error", "warning") for row in found.values()):
        wrong.append("doctor: training is refused, and nothing is an error")
    return wrong


def said_by(arguments: list[str]) -> tuple[int, str]:
    """Run a command in this process; gives its exit code, and all that it wrote."""
    written = io.StringIO()
    with contextlib.redirect_stdout(written), contextlib.redirect_stderr(written):
        try:
            code = run(arguments)
        except Exception:
            return 1, written.getvalue() + traceback.format_exc()
    return code, written.getvalue()


def wrong_with(step: Step, case: Path, out: Path) -> list[str]:
    """Run a step; gives a line for each thing that is not right."""
    arguments = [word.replace("CASE", str(case)).replace("OUT", str(out)) for word in step.command.split()]
    code, said = said_by(arguments)
    text = " ".join(said.split())
    wrong = [f"exit code {code}, not {step.code}"] if code != step.code else []
    wrong += [f"does not say {words!r}" for words in step.says if not re.search(words, text)]
    wrong += [f"says {words!r}" for words in step.never if re.search(words, text)]
    return [f"{' '.join(arguments[:2])}: {line}" for line in wrong] + ([f"    {said.strip()[-1500:]}"] if wrong else [])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--only", nargs="*", default=list(CASES))
    parser.add_argument("--doctor", action="store_true", help="ask the doctor alone")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = {}
    for name in options.only:
        with tempfile.TemporaryDirectory() as out:
            steps = () if options.doctor else CASES[name]
            wrong = [line for step in steps for line in wrong_with(step, options.cases / name, Path(out))]
            wrong += disagreeing(name, options.cases / name / ("project" if name == "yolo_two_exports" else ""))
        results[name] = wrong
        print("\n".join([f"{'wrong' if wrong else 'right'}  {name}", *wrong]), file=sys.stderr, flush=True)
    untried = sorted({path.name for path in options.cases.iterdir() if path.is_dir()} - CASES.keys())
    if options.json:
        print(json.dumps({"wrong": {name: lines for name, lines in results.items() if lines}, "untried": untried}))
    else:
        print(
            f"{sum(not wrong for wrong in results.values())} of {len(results)} right; without commands here: {untried}"
        )
    sys.exit(any(results.values()))


if __name__ == "__main__":
    main()
