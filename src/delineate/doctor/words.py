"""The readers' words are the doctor's: each line that a reader says, or is refused with, is of a kind of finding.

What a line may be is found by the words in it. A line that no row knows is kept as it is, so that nothing that training
would say is silent here.
"""

import re

WORDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"a label map is a PNG", ("label-map-kind",)),
    (r"it ends too early", ("truncated",)),
    (r"replace the file or remove it|32 bits a value|the file claims more than", ("unreadable",)),
    (r"pixels wide and high, and", ("size-differs",)),
    (r"of a kind that is not read", ("unread-kind",)),
    (r"links? to no file", ("dead-link",)),
    (r"EXIF turns|turned by EXIF", ("turned", "size-differs")),
    (r"this is no JSON|no well-formed XML|is no list of shapes", ("broken-annotation",)),
    (r"annotated more than once are merged", ("picture-twice",)),
    (r"points and lines, which have no area|left out (tags|cuboids|skeletons)", ("shape-left-out",)),
    (r"upright boxes around", ("shape-left-out",)),
    (r"is not in the list of classes", ("unknown-category",)),
    (r"is no polygon|are no polygon|has 3 at least", ("short-polygon",)),
    (r"its runs do not fill", ("rle-size",)),
    (r"is not known; draw|is no list of points|this is no picture in base64", ("broken-row",)),
    (r"no object has their id", ("broken-row",)),
    (r"left out shapes labelled", ("shape-left-out",)),
    (r"shapes without a label|regions without a value|it has no label", ("broken-row",)),
    (
        r"without picture, left out|it is not there; |its pictures \(|not in .*, left out",
        ("annotation-without-picture",),
    ),
    (r"of pictures that are not there", ("annotation-without-picture",)),
    (r"pictures? of \d+ not there|image_id: .* is no id", ("annotation-without-picture",)),
    (r"its label map .* is missing", ("picture-without-annotation",)),
    (r"there is no such file, for \d+ of", ("picture-without-annotation",)),
    (r"pictures? without|beside those that it names|without an annotation file", ("picture-without-annotation",)),
    (r"in none of the splits|in no list|in folders that no split names", ("in-no-split",)),
    (r"has the same|with the same label file|its picture .* may be", ("same-stem",)),
    (r"listed again|named twice", ("listed-twice",)),
    (r"whose names differ in capitals", ("other-capitals",)),
    (r"negative width or height|corners are exchanged", ("swapped",)),
    (r"have no area|without area", ("degenerate", "outside", "reaches-out", "size-differs")),
    (r"reaching out of the picture|reaching beyond", ("reaches-out", "outside", "size-differs")),
    (r"outside of their picture", ("outside", "reaches-out", "size-differs")),
    (r"say the same as another|there a second time|doubled in their file", ("duplicated",)),
    (r"corners all lie in 0\.\.1", ("normalised",)),
    (r"coordinate outside 0\.\.1", ("not-normalised", "outside", "reaches-out")),
    (
        r"is not in 0\.\.|category_id: .* is no id|not among the classes",
        ("unknown-category", "ids-mixed", "class-names-alike"),
    ),
    (r"categories without a name|the classes are called class_0|is taken for a name", ("nameless-category",)),
    (r"names: the text is read|nc is \d+, but", ("names-read-as",)),
    (r"left out the category", ("unused-category",)),
    (r"without mask; the box|as boxes among polygons", ("mask-missing", "short-polygon")),
    (r"as polygons among boxes|sixth number|masks of objects are left out", ("shape-left-out",)),
    (r"with the id of another", ("same-ids",)),
    (r"name a picture that has one already", ("picture-twice",)),
    (r"the visibility of|is its visibility, 0, 1 or 2", ("visibility",)),
    (r"keypoints out of the picture", ("keypoints-outside", "size-differs")),
    (r"says left or right|no flip_idx|no category names its keypoints", ("no-sides",)),
    (r"counts keypoints from 0", ("skeleton-from-0",)),
    (r"the run-length encoding of a mask of height", ("rle-size", "broken-mask")),
    (r"segmentation: .* (is no number|is not finite)", ("not-a-number",)),
    (r"neither polygons|segmentation: a corner|is no object; ", ("broken-mask",)),
    (r"is no number|is not finite|not made of numbers alone|number that is not finite", ("not-a-number",)),
    (r"is not a list of|numbers; (a box has|kpt_shape)|numbers, but its category", ("broken-row",)),
    (r"object \d+.*(no bndbox|several bndbox|has no name)", ("broken-row",)),
    (r"value \d+ at row \d+, column \d+ is no class", ("unnamed-value", "antialiased")),
    (r"label maps have the values|write one class name a line|no list names the classes", ("values-unnamed",)),
    (r"never seen in label maps|is past the \d+ names", ("value-doubt",)),
    (r"label maps have 0 and 255 alone", ("two-values",)),
    (r"the split is left out", ("split-missing",)),
    (r"has no pictures|nothing to (learn|measure)", ("nothing-to-learn", "nothing-to-measure")),
    (r"appears twice", ("class-names-alike", "nameless-category")),
    (r"is read for it|taken for the label maps|pictures are found in|is read$|read as|no .txt", ("guessed",)),
    (r"entries are looked for beside|what no object covers|not called .txt", ("guessed",)),
)

COUNT = re.compile(
    r"(?<![\w.])(\d[\d,]*)(?: of \d[\d,]*)? (?:picture|annotation|object|label|link|XML|entr|file|shape)"
    r"|\((\d[\d,]*)\): "
)


def kinds_of(line: str) -> tuple[str, ...]:
    """Say of which kinds of finding a reader's line may be, the likeliest first; of none where it is unknown."""
    return next((kinds for words, kinds in WORDS if re.search(words, line)), ())


def count_in(line: str) -> int:
    """Find how many things a reader's line is about; one where it does not count."""
    found = COUNT.search(line)
    return int((found.group(1) or found.group(2)).replace(",", "")) if found else 1
