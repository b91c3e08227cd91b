from pathlib import Path

import pytest
from tests.doctor.faults import FAULTS
from tests.doctor.sets import CLEAN

from delineate.doctor import KINDS, examine, mend


def found_in(root: Path) -> dict[str, int]:
    return {finding.id: finding.count for finding in examine(root)}


@pytest.mark.parametrize("layout", CLEAN)
def test_nothing_is_found_in_a_clean_set(layout: str, tmp_path: Path) -> None:
    findings = examine(CLEAN[layout](tmp_path / "data"))
    assert findings.num_pictures == 5
    assert {finding.id: finding.said for finding in findings} == {}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_and_nothing_else(name: str, tmp_path: Path) -> None:
    fault = FAULTS[name]
    root = CLEAN[fault.layout](tmp_path / "data")
    fault.plant(root)
    assert found_in(root) == fault.found


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.fixed])
def test_what_is_mended_is_not_found_again_and_the_original_stays(name: str, tmp_path: Path) -> None:
    fault = FAULTS[name]
    root = CLEAN[fault.layout](tmp_path / "data")
    fault.plant(root)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    changes = mend(examine(root), tmp_path / "mended")
    assert {change.finding for change in changes} & fault.found.keys()
    assert not found_in(tmp_path / "mended").keys() & fault.found.keys()
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_every_kind_that_needs_neither_a_run_nor_a_system_is_planted() -> None:
    planted = {kind for fault in FAULTS.values() for kind in fault.found}
    assert len(FAULTS) >= 60
    assert {kind for kind, row in KINDS.items() if row.group != "with a run"} - planted == {"too-small", "unmatched"}
