from pathlib import Path

import pytest
from tests.doctor.faults import FAULTS
from tests.doctor.sets import CLEAN

from delineate.doctor import KINDS, examine, mend
from delineate.doctor.mending import BY_HAND
from delineate.values import InputError


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
    mending = mend(examine(root), tmp_path / "mended")
    assert {change.finding for change in mending.changes} & fault.found.keys()
    assert not {one.finding for one in mending.by_hand} & fault.found.keys()
    assert found_in(tmp_path / "mended") == {}, "nothing of the original is left, and nothing is new"
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


UNREADABLE = ("coco: no JSON", "coco: no file name", "via: no JSON", "cvat: no XML", "mask_folder: no names")
LEFT = [name for name, fault in FAULTS.items() if not fault.fixed and name not in UNREADABLE]


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_cannot_be_copied(name: str, tmp_path: Path) -> None:
    fault = FAULTS[name]
    root = CLEAN[fault.layout](tmp_path / "data")
    fault.plant(root)
    findings = examine(root)
    with pytest.raises(InputError, match=str(root)):
        mend(findings, tmp_path / "mended")
    assert not (tmp_path / "mended").exists()


@pytest.mark.parametrize("name", LEFT)
def test_what_is_not_mended_is_listed_with_the_reason(name: str, tmp_path: Path) -> None:
    """Each trouble is in one of the two lists: it is changed, or left to be done by hand with the reason."""
    fault = FAULTS[name]
    root = CLEAN[fault.layout](tmp_path / "data")
    fault.plant(root)
    findings = examine(root)
    mending = mend(findings, tmp_path / "mended")
    troubles = {finding.id for finding in findings.troubles}
    assert {one.finding for one in (*mending.changes, *mending.by_hand)} >= troubles
    for one in mending.by_hand:
        assert one.reason
        assert one.finding in troubles
    assert (tmp_path / "mended" / BY_HAND).exists() == bool(mending.by_hand)


def test_each_trouble_is_mended_or_has_a_reason_to_be_left() -> None:
    assert all(kind.outcome for kind in KINDS.values() if kind.severity != "note")


def test_every_kind_that_needs_neither_a_run_nor_a_system_is_planted() -> None:
    planted = {kind for fault in FAULTS.values() for kind in fault.found}
    assert len(FAULTS) >= 60
    assert {kind for kind, row in KINDS.items() if row.group != "with a run"} - planted == {"too-small", "unmatched"}
