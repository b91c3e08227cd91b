"""What a machine cannot decide is left in the copy as it was, and listed with the reason."""

from collections.abc import Collection, Iterator, Sequence, Set
from typing import NamedTuple

from delineate.doctor.findings import Finding, Findings
from delineate.doctor.kinds import KINDS
from delineate.doctor.records import Hit, Record


class ByHand(NamedTuple):
    """Something is left to be done by hand in a file: at which place, for which finding, what, and why."""

    file: str
    place: str
    finding: str
    detail: str
    reason: str


def of_picture(record: Record, hits: Sequence[Hit], mended: Collection[tuple[str, str]]) -> list[ByHand]:
    """List what was found of a picture and its objects, and was not `mended`, by kind and place; notes are no trouble.

    So the list has every object, and not only examples.
    """
    return [
        ByHand(str(record.source), _place(record, hit), hit.kind, hit.detail, _reason(hit.kind))
        for hit in hits
        if (hit.kind, hit.place) not in mended and KINDS[hit.kind].severity != "note"
    ]


def _place(record: Record, hit: Hit) -> str:
    return hit.place if record.written in hit.place else f"{record.written}: {hit.place}"


def of_the_rest(findings: Findings, done: Collection[tuple[str, str]]) -> Iterator[ByHand]:
    """List the findings of whole files and splits of which nothing is `done`, which are kinds in files.

    Those that the doctor saw go by their examples, as what is seen of pictures is done; others by the readers' lines.
    """
    for finding in findings.troubles:
        files = {file for kind, file in done if kind == finding.id}
        if not finding.is_seen:
            yield from _said(finding, files, findings)
        elif not files:
            yield from _examples(finding, findings)


def _said(finding: Finding, done: Set[str], findings: Findings) -> Iterator[ByHand]:
    """Give the lines about files in which nothing is done, unless it is done in files that no line names."""
    named = {line: line.partition(": ")[0] for line in finding.said}
    for line, file in named.items() if done <= set(named.values()) else ():
        if file not in done:
            yield ByHand(str(findings.root), "", finding.id, line, _reason(finding.id))


def _examples(finding: Finding, findings: Findings) -> Iterator[ByHand]:
    """Give the places that are known of a finding, and how many more there are."""
    for example in finding.examples:
        file = findings.root if example.record is None else example.record.source
        yield ByHand(str(file), example.place, finding.id, example.detail, _reason(finding.id))
    if finding.count > len(finding.examples):
        more = f"{finding.count - len(finding.examples):,} more"
        yield ByHand(str(findings.root), "", finding.id, more, _reason(finding.id))


def _reason(kind: str) -> str:
    return KINDS[kind].by_hand or KINDS[kind].mend
