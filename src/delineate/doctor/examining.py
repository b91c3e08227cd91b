"""A data set is examined: every record is looked at once, then whole splits, and what the readers say is added."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from delineate.data.dataset import EVERYTHING, OBJECTS, Dataset, checked_target
from delineate.data.formats import read_dataset, splits
from delineate.data.formats.layouts import recognised
from delineate.doctor.checks import hits_of
from delineate.doctor.checks.splits import SPLITS, aliases, leaked, leaks
from delineate.doctor.checks.tally import Tally
from delineate.doctor.findings import NUM_EXAMPLES, Findings
from delineate.doctor.layouts import parts_of, without_unions
from delineate.doctor.looking import look_through
from delineate.doctor.records import Part, Size
from delineate.doctor.words import count_in, kinds_of
from delineate.values import InputError

Watch = Callable[[Iterable[Any], int, str], Iterable[Any]]
"""It passes on so many things, and shows how far it is with what it is called."""

UNDECODED = "nothing was decoded: what is broken within a file, in two splits, or in label maps was not looked for"


def unwatched(things: Iterable[Any], total: int, what: str) -> Iterable[Any]:
    """Show nothing."""
    return things


def examine(
    data: str | Path,
    format: str | None = None,  # noqa: A002
    *,
    decode: bool = True,
    system: str | None = None,
    run: Path | None = None,
    num_examples: int = NUM_EXAMPLES,
    watch: Watch = unwatched,
) -> Findings:
    """Find what is wrong with the pictures and annotations of a data set, in every split that it has.

    Without `decode`, the beginning and the end of pictures are read alone, which takes less time. With the name of a
    `system`, objects are held against its anchors or default boxes; with a trained `run`, against what it finds.
    `num_examples` of each finding are kept.

    Raises `InputError` where there is no data set to look at. What no reader takes is a finding, and no error.
    """
    root = Path(data)
    layout = recognised(root, format)
    findings = Findings(root=root, layout=layout, num_examples=num_examples)
    parts = without_unions(list(_parts(root, layout, findings)))
    tallies = [_examined(part, findings, decode, system, watch) for part in parts]
    findings.num_pictures = len({record.file for tally in tallies for record in tally.part.records})
    findings.lines = {tally.part.split: tally.census().line(tally.part.split) for tally in tallies}
    _one_off(tallies, findings)
    if tallies:
        _examine_splits(tallies, findings)
    _read(root, layout, findings, {file: size for tally in tallies for file, size in tally.sizes.items()})
    if system is not None:
        from delineate.doctor.checks.anchors import unmatched

        for hit, example in unmatched(tallies, system):
            findings.add(hit, **example)
    if run is not None:
        from delineate.doctor.checks.disagreeing import disagreements

        for hit, example in disagreements(run, root, layout, watch):
            findings.add(hit, **example)
    findings.passed_over = () if decode else (UNDECODED,)
    return findings


def _parts(root: Path, layout: str, findings: Findings) -> Iterator[Part]:
    """Give the splits; where one cannot be read, in the words of its reader, those before it."""
    try:
        yield from parts_of(root, layout)
    except InputError as error:
        line = str(error)
        findings.say(line, kinds_of(line), "broken-annotation", count_in(line), refused=True)


def _examined(part: Part, findings: Findings, decode: bool, system: str | None, watch: Watch) -> Tally:
    """Look at the records of a split."""
    tally = Tally(part, measured=system is not None)
    looks = look_through(part, hits_of, decode=decode)
    for look, hits in watch(looks, len(part.records), part.split):
        tally.add(look, hits)
        for hit in hits:
            findings.add(hit, record=look.record, things=look.things)
    for hit in part.hits:
        findings.add(hit)
    return tally


def _one_off(tallies: list[Tally], findings: Findings) -> None:
    """Say that ids are counted from 0 and from 1, where the unknown ones lie right before or behind the known."""
    unknown = [tally for tally in tallies if tally.unknown]
    if unknown and all(map(_is_one_off, unknown)):
        finding = findings.found.pop("unknown-category")
        finding.id = "ids-mixed"
        findings.found[finding.id] = finding


def _is_one_off(tally: Tally) -> bool:
    known = [value for value in tally.part.ids.values() if isinstance(value, int)]
    before = [{str(min(known) - 1)}] if min(known, default=0) > 0 else []
    return bool(known) and tally.unknown in (*before, {str(max(known) + 1)})


def _examine_splits(tallies: list[Tally], findings: Findings) -> None:
    findings.leaks = leaks(tallies)
    findings.aliases = aliases(tallies)
    for check in SPLITS:
        for hit in check(tallies):
            findings.add(hit)
    for hit, (other, record, _) in zip(leaked(findings.leaks), findings.leaks, strict=True):
        findings.add(hit, record=other, other=record)


def _read(root: Path, layout: str, findings: Findings, sizes: Mapping[Path, Size]) -> None:
    """Read every split as a training does; what is said is put to the findings that it is of.

    The pictures whose sizes are known can be read, and are not opened again.
    """
    lines: list[str] = []
    errors: list[str] = []
    with suppress(InputError):  # it was said when the parts were read
        for split in splits(root, layout):
            try:
                dataset = read_dataset(root, split, layout, EVERYTHING)
                lines += dataset.problems
                errors += _errors(dataset.needing(OBJECTS), sizes)
            except InputError as error:
                errors.append(str(error))
    for line in dict.fromkeys(lines):
        findings.say(line, kinds_of(line), "guessed", count_in(line))
    otherwise = "broken-row" if "broken-row" in findings.found else "broken-annotation"
    for line in dict.fromkeys(errors):
        findings.say(line, kinds_of(line), otherwise, 1, refused=True)


def _errors(dataset: Dataset, sizes: Mapping[Path, Size]) -> Iterator[str]:
    """Read the annotation of every picture, and say where a training would be refused."""
    for index, file in enumerate(dataset.files):
        try:
            if file in sizes:
                dataset.target(index, sizes[file])
            else:
                checked_target(dataset, index)
        except InputError as error:
            yield str(error)
