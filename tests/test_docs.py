"""The documentation is built without a warning, which a dead link is, and says what the code says."""

import importlib
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from delineate.system.catalog import CATALOG
from delineate.system.papers import papers

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
ROOMS = sorted(page.stem for page in (DOCS / "api").glob("*.md") if page.stem != "index")
ELSEWHERE = re.compile(
    r"""<(?:link|script|img|source|iframe)\b[^>]*(?:src|href)=["'](?:https?:)?//|url\(["']?(?:https?:)?//|@import"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-d", str(folder / "tree"), str(DOCS)]
    done = subprocess.run([*command, str(folder / "html")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "html"


def test_the_site_is_built_and_no_link_is_dead(site: Path) -> None:
    ids = {page: set(re.findall(r'\bid="([^"]+)"', page.read_text(encoding="utf-8"))) for page in site.rglob("*.html")}
    for page in ids:
        for link in re.findall(r'<a [^>]*href="([^"]*)"', page.read_text(encoding="utf-8")):
            if "://" in link or page.name == "search.html":
                continue
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.is_file(), f"{page.relative_to(site)}: {link}"
            assert not anchor or target not in ids or anchor in ids[target], f"{page.relative_to(site)}: {link}"


def test_pages_load_nothing_from_other_hosts(site: Path) -> None:
    files = [file for file in site.rglob("*") if file.suffix in (".html", ".css")]
    assert not [file for file in files if ELSEWHERE.search(file.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_is_in_the_reference(site: Path, room: str) -> None:
    shown = (site / "api" / f"{room}.html").read_text(encoding="utf-8")
    names = importlib.import_module(f"delineate.{room}").__all__
    assert not [name for name in names if not re.search(rf'id="(?:module-)?delineate\.{room}\.{name}"', shown)]


def test_the_systems_pages_are_what_the_code_says() -> None:
    texts = runpy.run_path(str(DOCS / "pages.py"))["texts_of_pages"]()
    kept = {file.name: file.read_text(encoding="utf-8") for file in (DOCS / "systems").glob("*.md")}
    stale = [name for name in sorted({*texts, *kept}) if texts.get(name) != kept.get(name)]
    assert not stale, f"{', '.join(stale)}: write the pages anew with `make docs`"


def test_what_deviates_has_its_reason_and_its_effect() -> None:
    _, _, *rows = [row for row in (DOCS / "deviations.md").read_text().splitlines() if row.startswith("|")]
    for row in rows:
        _, system, what, why, effect, _ = map(str.strip, row.split("|"))
        assert system and what and why, row  # noqa: PT018
        assert "](results.md#" in effect or effect.startswith("not measured"), row
        assert not set(re.findall(r"`(\w+)`", system)) - set(CATALOG), row
    for page in (DOCS / "systems").glob("*.md"):
        text = page.read_text()
        if "## Where it deviates" in text and page.stem != "sliding_window_detector":  # it has no paper
            assert re.search(r"^\| .*what differs \| why \| effect \|$", text, re.MULTILINE), page.name


@pytest.mark.parametrize("system", CATALOG)
def test_the_readme_links_page_file_and_paper_of_a_system(system: str) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    row = next(line for line in readme.splitlines() if line.startswith("| ") and f"`{system}`" in line.split("|")[1])
    links = re.findall(r"\]\(([^)]+)\)", row)
    page = next(link for link in links if link.startswith("docs/systems/"))
    assert f"**`{system}`**" in (ROOT / page).read_text(encoding="utf-8")
    file = next(link for link in links if link.endswith(".py"))
    assert f"def {system}(" in (ROOT / file).read_text(encoding="utf-8")
    assert {link for _, link in papers(CATALOG[system].paper) if link} <= set(links)


@pytest.mark.parametrize(
    ("system", "parts"),
    [
        ("mask_rcnn", ("heads/mask.py", "heads/box.py", "rois.py", "detector.py", "proposers/rpn.py")),
        ("keypoint_rcnn", ("heads/keypoint.py",)),
    ],
)
def test_the_page_of_a_preset_leads_to_the_files_that_do_the_work(system: str, parts: tuple[str, ...]) -> None:
    page = DOCS / "systems" / f"{system}.md"
    links = re.findall(r"\]\(([^)#]+\.py)\)", page.read_text(encoding="utf-8"))
    for part in parts:
        link = next((link for link in links if link.endswith(f"two_stage/{part}")), None)
        assert link is not None, part
        assert (page.parent / link).is_file()


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "benchmarks/README.md"])
def test_links_of_documents_beside_the_site_lead_somewhere(document: str) -> None:
    file = ROOT / document
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", file.read_text(encoding="utf-8"))
    assert not [link for link in links if "://" not in link and not (file.parent / link).exists()]
