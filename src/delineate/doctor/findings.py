"""Findings are values: what is wrong with a data set, how often, where, and what mends it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from delineate.doctor.kinds import GROUPS, KINDS, SEVERITIES, Kind, Severity
from delineate.doctor.records import Hit, Record, Thing
from delineate.values import counted

NUM_EXAMPLES = 6


@dataclass(kw_only=True)
class Example:
    """One case of a finding: where it is, what in particular, and the picture with its objects, if it has one.

    `rows` are the objects that it is about; so many `more` of the same picture are among them. `other` is a second
    picture that it is compared with.
    """

    place: str
    detail: str = ""
    record: Record | None = None
    things: Sequence[Thing] = ()
    rows: Sequence[int] = ()
    more: int = 0
    other: Record | None = None

    def caption(self) -> str:
        """Say where it is, and what."""
        file = f"{self.record.split}/{self.record.file.name}" if self.record else ""
        place = "" if not self.place or self.place in file else self.place
        more = f" and {self.more} more" if self.more else ""
        return ": ".join(part for part in (file, place + more, self.detail) if part)


@dataclass(kw_only=True)
class Finding:
    """Something of the kind `id` was found `count` times. `said` are the lines in which a training would say so.

    With some of them it may have `refused` the data. What was not seen by the doctor itself is counted by them.
    """

    id: str
    count: int = 0
    examples: list[Example] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    refused: bool = False
    is_seen: bool = False

    @property
    def severity(self) -> Severity:
        """An error ends a training; whatever a reader is refused with is one."""
        return "error" if self.refused else self.kind.severity

    @property
    def kind(self) -> Kind:
        """What the table of kinds says of it."""
        return KINDS[self.id]

    def line(self) -> str:
        """Say what was found, in a line."""
        return f"{self.count:,} × {self.kind.title}"

    def facts(self) -> dict[str, Any]:
        """Give what is written as JSON."""
        return {
            "id": self.id,
            "group": self.kind.group,
            "severity": self.severity,
            "count": self.count,
            "title": self.kind.title,
            "mend": self.kind.mend,
            "fix": self.kind.fixed or None,
            "by_hand": self.kind.by_hand or None,
            "said": self.said[:NUM_EXAMPLES],
            "examples": [
                {
                    "split": example.record.split if example.record else None,
                    "file": str(example.record.file) if example.record else None,
                    "annotation": str(example.record.source) if example.record else None,
                    "place": example.place,
                    "detail": example.detail,
                    "more": example.more,
                }
                for example in self.examples
            ],
        }


@dataclass(kw_only=True)
class Findings:
    """What was found in the data at `root`, of this `layout`; `lines` count what is in each split.

    `passed_over` says what was not looked for. `leaks` are pictures of two splits, the one that is learned from first.
    """

    root: Path
    layout: str
    num_pictures: int = 0
    lines: Mapping[str, str] = field(default_factory=dict)
    passed_over: Sequence[str] = ()
    found: dict[str, Finding] = field(default_factory=dict)
    leaks: Sequence[tuple[Record, Record, int]] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    num_examples: int = NUM_EXAMPLES

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.ranked())

    def ranked(self) -> list[Finding]:
        """List the findings, errors first, by group."""
        return sorted(
            self.found.values(),
            key=lambda finding: (
                SEVERITIES.index(finding.severity),
                GROUPS.index(finding.kind.group),
                -finding.count,
            ),
        )

    @property
    def troubles(self) -> list[Finding]:
        """List the findings that are no notes."""
        return [finding for finding in self.ranked() if finding.severity != "note"]

    def add(self, hit: Hit, **example: Any) -> None:
        """Count something that was found, and keep it as an example while these are few."""
        finding = self.found.setdefault(hit.kind, Finding(id=hit.kind))
        finding.count += 1
        finding.is_seen = True
        record = example.get("record")
        same = next((one for one in finding.examples if one.record is record), None) if hit.rows else None
        if same is not None:
            same.rows, same.more = (*same.rows, *hit.rows), same.more + 1
        elif len(finding.examples) < self.num_examples:
            finding.examples.append(Example(place=hit.place, detail=hit.detail, rows=hit.rows, **example))

    def say(self, line: str, kinds: Sequence[str], otherwise: str, count: int, *, refused: bool = False) -> None:
        """Put a reader's line, with which it may have refused the data, to the finding that it is of, or make one."""
        kinds = kinds or (otherwise,)
        kind = next((kind for kind in kinds if kind in self.found), kinds[0])
        finding = self.found.setdefault(kind, Finding(id=kind))
        if line not in finding.said:
            finding.said.append(line)
            finding.refused |= refused
            finding.count += 0 if finding.is_seen else count

    def summary(self) -> str:
        """Count the findings, in a line."""
        numbers = {severity: sum(one.severity == severity for one in self.ranked()) for severity in SEVERITIES}
        amounts = [counted(number, severity) for severity, number in numbers.items() if number]
        return f"{self.root}: {counted(self.num_pictures, 'picture')}, {', '.join(amounts) or 'nothing found'}"

    def facts(self) -> dict[str, Any]:
        """Give what is written as JSON."""
        return {
            "data": str(self.root),
            "layout": self.layout,
            "num_pictures": self.num_pictures,
            "splits": dict(self.lines),
            "passed_over": list(self.passed_over),
            "findings": [finding.facts() for finding in self.ranked()],
        }
