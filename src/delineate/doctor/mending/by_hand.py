"""What a machine cannot decide is left in the copy as it was, and listed with the reason."""

from collections.abc import Collection, Iterator, Sequence
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


def of_picture(record: Record, hits: Sequence[Hit], mended: Collection[str]) -> list[ByHand]:
    """List what was found of a picture and its objects and is of no kind that was `mended`; notes are no trouble."""
    return [
        ByHand(str(record.source), _place(record, hit), hit.kind, hit.detail, _reason(hit.kind))
        for hit in hits
        if hit.kind not in mended and KINDS[hit.kind].severity != "note"
    ]


def _place(record: Record, hit: Hit) -> str:
    return hit.place if record.written in hit.place else f"{record.written}: {hit.place}"


def of_the_rest(findings: Findings, done: Collection[str]) -> Iterator[ByHand]:
    """List the findings of whole files and splits of whose kinds nothing is `done`, by their examples."""
    for finding in findings.troubles:
        if finding.id not in done:
            rows = list(_examples(finding, findings))
            yield from rows
            if finding.count > len(rows):
                more = f"{finding.count - len(rows):,} more"
                yield ByHand(str(findings.root), "", finding.id, more, _reason(finding.id))


def _examples(finding: Finding, findings: Findings) -> Iterator[ByHand]:
    """Give the places that are known of a finding, or what the readers say of it."""
    for example in finding.examples:
        file = findings.root if example.record is None else example.record.source
        yield ByHand(str(file), example.place, finding.id, example.detail, _reason(finding.id))
    for line in finding.said if not finding.examples else ():
        yield ByHand(str(findings.root), "", finding.id, line, _reason(finding.id))


def _reason(kind: str) -> str:
    return KINDS[kind].by_hand or KINDS[kind].mend
