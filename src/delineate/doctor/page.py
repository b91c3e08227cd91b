"""The doctor's page is one HTML file: what was found, the gravest first, with pictures."""

from pathlib import Path

from delineate.doctor.drawing import drawn
from delineate.doctor.findings import Finding, Findings
from delineate.doctor.kinds import SEVERITIES
from delineate.io.files import written_beside
from delineate.values import counted
from delineate.viz.report import Exhibit, page_environment

MEANING = {
    "error": "ends a training, or makes it learn what is false",
    "warning": "is left out, changed, or in doubt",
    "note": "is no trouble, but worth knowing",
}


def write_page(path: str | Path, findings: Findings) -> None:
    """Write the findings as one HTML file that needs no script, no network and no other file."""
    ranked = findings.ranked()
    page = page_environment().get_template("doctor/page.html.j2")
    text = page.render(
        title=f"{findings.root.name}: {_title(findings)}",
        findings=findings,
        by_severity={severity: [one for one in ranked if one.severity == severity] for severity in SEVERITIES},
        meaning=MEANING,
        pictures=_pictures,
    )
    with written_beside(Path(path)) as beside:
        beside.write_text(text, encoding="utf-8")


def _title(findings: Findings) -> str:
    troubles = findings.troubles
    return counted(len(troubles), "finding") if troubles else "nothing found"


def _pictures(finding: Finding) -> list[Exhibit]:
    exhibits = (Exhibit(example.caption(), drawn(example)) for example in finding.examples)
    return [exhibit for exhibit in exhibits if exhibit.views]
