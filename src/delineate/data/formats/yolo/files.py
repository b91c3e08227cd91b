"""The files of a YOLO set are the pictures that folders and lists name, and the label file of each."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from delineate.data.files import read_lines
from delineate.data.folders import names_in, pictures_in
from delineate.data.formats.split_names import USUAL_NAMES
from delineate.data.images import SUFFIXES
from delineate.values import InputError, counted, listed

DESCRIPTIONS = ("data.yaml", "dataset.yaml", "data.yml", "dataset.yml")
SPLITS = tuple(USUAL_NAMES)


def existing(path: Path) -> Path | None:
    """Find a file or folder as it is written, or else in other capitals where one alone has them."""
    if path.exists():
        return path
    parent = existing(path.parent) if path.parent != path else None
    if parent is None or not parent.is_dir():
        return None
    alike = [child for child in parent.iterdir() if child.name.casefold() == path.name.casefold()]
    return alike[0] if len(alike) == 1 else None


def find(bases: Sequence[Path], entry: str) -> tuple[list[Path], str]:
    """Find what `entry` may mean, the likeliest first, and say in words where that is not what is written.

    Exporters write `../train/images` for the `train/images` beside the YAML file, and people bring paths of other
    machines, whose end is right. The words are empty where nothing was guessed.
    """
    written = entry.replace("\\", "/")
    exact = _found(bases, [written])
    beside = _found(bases, [written.removeprefix("../")]) if written.startswith("../") else []
    if beside or exact:
        doubtful = beside and exact and not beside[0].samefile(exact[0])
        return [*beside, *exact], f"{entry!r} is read as {beside[0]}, not as {exact[0]}" if doubtful else ""
    ends = _found(bases, _ends(written.split("/")))
    return ends, f"{entry!r} is not there; {ends[0]} is read" if ends else ""


def find_pictures(source: Path, bases: Sequence[Path], entries: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Find the pictures of folders, text files with one path a line, and single pictures, and say what was guessed.

    Raises `InputError` naming `source` where an entry is not there, and a list none of whose pictures is.
    """
    files: list[Path] = []
    notes: list[str] = []
    for entry in entries:
        places, guessed = find(bases, entry)
        if not places:
            looked = ", ".join(dict.fromkeys(str(base / entry.removeprefix("../")) for base in bases))
            raise InputError(f"{source}: {entry!r} is not there; looked for {looked}. Correct 'path' or the entry")
        notes += [f"{source}: {guessed}"] * bool(guessed)
        if places[0].is_dir():
            found, said = _of_folder(places[0])
        elif places[0].suffix.lower() in SUFFIXES:
            found, said = [places[0]], []
        else:
            found, said = _of_list(places[0], bases)
        files += found
        notes += said
    once = list(dict.fromkeys(files))
    if len(once) < len(files):
        notes.append(f"{source}: {counted(len(files) - len(once), 'picture')} named twice, read once")
    return once, notes


def label_files_of(pictures: Sequence[Path]) -> list[Path]:
    """Say where the label file of each picture is looked for; it need not be there.

    Where there is no `a.txt` of `a.jpg`, it may be called `a.TXT`, or `a.jpg.txt`.
    """
    folders = {folder: _label_folder(folder) for folder in {picture.parent for picture in pictures}}
    there = {folder: names_in(folder) for folder in folders.values()}
    files = []
    for picture in pictures:
        folder, usual = folders[picture.parent], f"{picture.stem}.txt"
        others = (f"{stem}{suffix}" for stem in (picture.stem, picture.name) for suffix in (".TXT", ".txt"))
        names = there[folder]
        files.append(folder / (usual if usual in names else next((name for name in others if name in names), usual)))
    return files


def _label_folder(folder: Path) -> Path:
    """Put `labels` in place of the last folder named `images`; where there is none, labels are beside pictures.

    Darknet does so with `JPEGImages`, too.
    """
    parts = folder.parts
    places = [place for place, part in enumerate(parts) if part.casefold() in ("images", "jpegimages")]
    if not places:
        return folder
    usual = Path(*parts[: places[-1]], "labels", *parts[places[-1] + 1 :])
    found = existing(usual)
    return found or (folder if any(folder.glob("*.[tT][xX][tT]")) else usual)


def _found(bases: Sequence[Path], names: Sequence[str]) -> list[Path]:
    found = (existing(base / name) for name in names for base in bases)
    return list(dict.fromkeys(place for place in found if place is not None))


def _ends(parts: Sequence[str]) -> list[str]:
    """Give the ends of a path, the longest first; `train/images` is not cut to `images`, which other splits share."""
    return [
        "/".join(parts[start:])
        for start in range(1, len(parts))
        if parts[start] not in ("", ".", "..")
        and not (parts[start].casefold() == "images" and parts[start - 1].casefold() in SPLITS)
    ]


def _of_folder(place: Path) -> tuple[list[Path], list[str]]:
    """Find the pictures in a folder, without those of sets within it that have a description of their own."""
    files = pictures_in(place)
    folders = {file.parent for file in files}
    inner = sorted({above for folder in folders for above in _between(place, folder) if _has_description(above)})
    others = {folder for folder in folders if any(folder.is_relative_to(home) for home in inner)}
    own = [file for file in files if file.parent not in others]
    left = len(files) - len(own)
    return own, [f"{place}: {counted(left, 'picture')} of sets within it ({listed(inner)}), left out"] * bool(left)


def _between(place: Path, folder: Path) -> Iterator[Path]:
    while folder != place:
        yield folder
        folder = folder.parent


def _has_description(folder: Path) -> bool:
    return any((folder / name).is_file() for name in DESCRIPTIONS)


def _of_list(source: Path, bases: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Find the pictures that a list names, also where it was written on another machine."""
    lines = [line for line in read_lines(source) if not line.startswith("#")]
    homes = list(dict.fromkeys([source.parent, *bases]))
    folders: dict[str, list[Path]] = {}
    files, missing = [], []
    guessed = ""
    for line in lines:
        folder, _, name = line.replace("\\", "/").rpartition("/")
        if folder not in folders:
            places, said = find(homes, folder or ".")
            folders[folder] = [*places, *homes]
            guessed = guessed or said
        found = next((place / name for place in folders[folder] if (place / name).is_file()), None)
        if found is None:
            missing.append(line)
        else:
            files.append(found)
    if lines and not files:
        raise InputError(f"{source}: none of the {len(lines)} pictures is there, as {lines[0]!r}; correct the paths")
    notes = [f"{source}: {guessed}"] * bool(guessed)
    if missing:
        notes.append(
            f"{source}: {counted(len(missing), 'picture')} of {len(lines)} not there, left out: {listed(missing)}"
        )
    return files, notes
