"""`delineate doctor DATA` looks through a data set before an hour is spent on it."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from delineate.cli.options import AsJson, Data, Format
from delineate.cli.output import print_json, print_line, progress, say

if TYPE_CHECKING:
    from delineate.doctor import Finding, Findings
    from delineate.doctor.mending import Mending

COLORS = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def doctor(
    data: Data,
    fix: Annotated[
        Path | None,
        typer.Option(
            metavar="DST",
            help="Also write a mended copy to this new folder, with what was changed in changes.csv, and what is left "
            "to be done by hand in by_hand.csv, with the reasons; DATA stays as it is.",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE.html", help="Also write a page with pictures of what was found."),
    ] = None,
    system: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="SYSTEM",
            help="Also find the objects that are lost on this system, such as ssd: by its anchors, cells or queries.",
        ),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN", help="Also rank the annotations that this trained run disagrees with most, of its val."
        ),
    ] = None,
    decode: Annotated[
        bool,
        typer.Option(
            "--decode/--no-decode",
            help="Decode every picture, to find broken ones and those in two splits; without, it takes less time.",
        ),
    ] = True,
    examples: Annotated[int, typer.Option(min=1, help="How many examples of each finding are kept.")] = 6,
    data_format: Format = None,
    as_json: AsJson = False,
) -> None:
    """Find what is wrong with a data set: its files, its annotations, its splits, and what a run makes of them.

    Ends with 0 where nothing is wrong, 1 where something was found that is more than a note, and 2 where it could not
    look.
    """
    from delineate.doctor import examine, mend, write_page

    _check(report)
    with progress() as bar:

        def watch(things: Iterable[Any], total: int, what: str) -> Iterable[Any]:
            return bar.track(things, total=total, description=what)

        findings = examine(data, data_format, decode=decode, system=system, run=run, num_examples=examples, watch=watch)
    if report is not None:
        write_page(report, findings)
    if not as_json:
        _print(findings)
    mending = None if fix is None else mend(findings, fix)
    if as_json:
        print_json(findings.facts() | _done(fix, mending) | ({"report": str(report)} if report is not None else {}))
    elif mending is not None:
        rest = f"; {len(mending.by_hand):,} left to be done by hand (by_hand.csv)" if mending.by_hand else ""
        print_line(f"{escape(str(fix))}: written with {len(mending.changes):,} changes (changes.csv){rest}")
    if report is not None and not as_json:
        print_line(f"open [bold]{escape(str(report))}[/]")
    raise typer.Exit(1 if findings.troubles else 0)


def _done(fix: Path | None, mending: "Mending | None") -> dict[str, Any]:
    if mending is None:
        return {}
    return {"fixed": str(fix), "num_changes": len(mending.changes), "num_by_hand": len(mending.by_hand)}


def _check(report: Path | None) -> None:
    """Raise `InputError` before looking, which takes long, for a page that cannot be written."""
    from delineate.values import InputError

    if report is not None and (report.is_dir() or report.suffix.lower() not in (".html", ".htm")):
        raise InputError(f"report: {report} is no file that ends with .html, which is what is written")


def _print(findings: "Findings") -> None:
    for line in (*findings.lines.values(), *findings.passed_over):
        say(line)
    for finding in findings:
        _print_finding(finding)
    print_line(escape(findings.summary()))


def _print_finding(finding: "Finding") -> None:
    color = COLORS[finding.severity]
    print_line(f"[{color}]{finding.severity:8}[/][bold]{finding.id}[/] {escape(finding.line())}")
    for example in finding.examples[:2]:
        print_line(f"[dim]{'':8}{escape(example.caption())}[/]")
    for line in finding.said[: 0 if finding.examples else 2]:
        print_line(f"[dim]{'':8}{escape(line)}[/]")
    fixed = f" [--fix: {finding.kind.outcome}]" if finding.kind.outcome else ""
    print_line(f"{'':8}{escape(finding.kind.mend)}[dim]{escape(fixed)}[/]")
