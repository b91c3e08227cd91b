"""Write a page for each system, docs/systems/*.md: docstrings, the catalog, options, deviations, measured rows.

`make docs` calls it, and a test asks for it when a page is not what it would be.
"""

import inspect
import re
import textwrap
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from delineate.cli.schema import Option, schema
from delineate.models.two_stage import detector, presets
from delineate.system.catalog import CATALOG
from delineate.system.papers import papers

DOCS = Path(__file__).resolve().parent
PACKAGE = DOCS.parent / "src" / "delineate"
HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
PICTURE = re.compile(r"─|\S {3,}\S")
DEVIATES = re.compile(r"Where .{,30}deviates?:")


class Page(NamedTuple):
    """A page tells of the systems that one file holds; of the file of all two-stage presets, of one each."""

    name: str
    systems: tuple[str, ...]
    module: ModuleType


def pages() -> list[Page]:
    """List the pages, in the order of the catalog."""
    found: dict[str, Page] = {}
    for system, entry in CATALOG.items():
        module = inspect.getmodule(entry.preset)
        assert module is not None
        key = system if module is presets else module.__name__
        systems = (*found[key].systems, system) if key in found else (system,)
        found[key] = Page(systems[0] if len(systems) == 1 else key.rpartition(".")[2], systems, module)
    return list(found.values())


def write_pages() -> None:
    """Write all pages, and remove those of systems that are no more."""
    folder = DOCS / "systems"
    folder.mkdir(exist_ok=True)
    texts = texts_of_pages()
    for file in folder.glob("*.md"):
        if file.name not in texts:
            file.unlink()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def texts_of_pages() -> dict[str, str]:
    """Give what each file of docs/systems has to hold."""
    return {"index.md": overview()} | {f"{page.name}.md": system_page(page) for page in pages()}


def overview() -> str:
    """Write the list of all systems by task."""
    parts = ["# Systems\n\nEach page is made from the code: its docstrings, options and measured rows.\n"]
    for task, title in schema()["tasks"].items():
        rows = [
            f"| [`{system}`]({page.name}.md) | {CATALOG[system].title} | {linked_papers(CATALOG[system].paper)} |\n"
            for page in pages()
            for system in page.systems
            if CATALOG[system].task.name == task
        ]
        parts.append(f"\n## `{task}`: {title}\n\n| name | what it is | paper |\n|---|---|---|\n{''.join(rows)}")
    names = "\n".join(page.name for page in pages())
    return "".join(parts) + f"\n```{{toctree}}\n:hidden:\n\n{names}\n```\n"


def system_page(page: Page) -> str:
    """Write the page of the systems of a file."""
    entries = [CATALOG[system] for system in page.systems]
    told = paragraphs(page.module)
    own = [part for entry in entries for part in paragraphs(entry.preset)]
    told = [*own, *told, *paragraphs(detector)] if page.module is presets else [*told, *own]
    deviations = [part for part in told if DEVIATES.match(part)]
    return (
        "\n\n".join(
            [
                f"# {', '.join(page.systems)}",
                *(
                    f"**`{name}`**: {CATALOG[name].title}. {linked_papers(CATALOG[name].paper)}."
                    for name in page.systems
                ),
                f"```\ndelineate train {page.systems[0]} DATA --minutes 20\n```",
                f"## Stages\n\nFrom {linked_file(relative(page.module))}:",
                *(part for part in told if part not in deviations),
                *(["## Where it deviates from the paper", *map(without_heading, deviations)] if deviations else []),
                *reasons(page.systems),
                "## Options",
                *options(page.systems),
                "## Measured",
                *(measured(page.systems) or ["Nothing yet."]),
            ]
        )
        + "\n"
    )


def without_heading(part: str) -> str:
    """Leave out what the heading above a paragraph says already."""
    text = part.removeprefix("Where it deviates: ")
    return text[0].upper() + text[1:]


def reasons(systems: tuple[str, ...]) -> list[str]:
    """Copy the rows of docs/deviations.md that name these systems; each says which where the page has several."""
    head, line, *rows = re.findall(r"^\|.*$", (DOCS / "deviations.md").read_text(encoding="utf-8"), re.MULTILINE)
    own = [row for row in rows if named_in(row.split("|")[1]) & set(systems)]
    kept = [head, line, *own] if len(systems) > 1 else [f"|{row.split('|', 2)[2]}" for row in (head, line, *own)]
    return ["\n".join(kept).replace("](results.md", "](../results.md")] if own else []


def options(systems: tuple[str, ...]) -> list[str]:
    """Write a table of options, and what is particular in the training, for the systems in which both are the same."""
    tables: dict[str, list[str]] = {}
    for system in systems:
        rows = [option_row(name, option) for name, option in schema()["systems"][system]["options"].items()]
        recipe = ", ".join(f"`{name} = {value}`" for name, value in CATALOG[system].recipe.items())
        own = f"\n\nSettings of its training, where you give none: {recipe}." if recipe else ""
        table = "\n".join(["| option | if not given | what it does |", "|---|---|---|", *rows]) + own
        tables.setdefault(table, []).append(f"`{system}`")
    return [table if len(tables) == 1 else f"{', '.join(names)}:\n\n{table}" for table, names in tables.items()]


def option_row(name: str, option: Option) -> str:
    """Show an option as the command line has it."""
    flag, default = name.replace("_", "-"), option["default"]
    flags = f"`--{flag}`, `--no-{flag}`" if option["type"] == "bool" else f"`--{flag}`"
    shown = "" if default is None else f"`{'yes' if default else 'no'}`" if option["type"] == "bool" else f"`{default}`"
    choices = f" One of {', '.join(f'`{choice}`' for choice in option['choices'])}." if option["choices"] else ""
    return f"| {flags} | {shown} | {option['help']}{choices} |"


def paragraphs(documented: object) -> list[str]:
    """Give a docstring as Markdown: pictures and legends stay as they are, files are linked."""
    text = inspect.getdoc(documented)
    assert text is not None
    home = PACKAGE / relative(inspect.getmodule(documented)).parent
    return [
        f"```text\n{textwrap.dedent(paragraph)}\n```" if PICTURE.search(paragraph) else link_files(paragraph, home)
        for paragraph in text.split("\n\n")
    ]


def link_files(text: str, home: Path) -> str:
    """Link the files that a text names as they lie in its own folder or in the package's."""

    def link(name: re.Match[str]) -> str:
        for folder in (home, PACKAGE):
            if (folder / name[0]).is_file():
                return linked_file((folder / name[0]).relative_to(PACKAGE), name[0])
        return name[0]

    return re.sub(r"\b[\w/]+\.py\b", link, text.replace("docs/results.md", "[the results](../results.md)"))


def linked_file(file: Path, name: str = "") -> str:
    """Link a file of the package."""
    return f"[`{name or file}`](../../src/delineate/{file})"


def relative(module: ModuleType | None) -> Path:
    """Give a module's file as it lies in the package."""
    assert module is not None
    assert module.__file__ is not None
    return Path(module.__file__).relative_to(PACKAGE)


def linked_papers(named: str) -> str:
    """Link the papers that an entry names."""
    return "; ".join(f"[{paper}]({link})" if link else paper for paper, link in papers(named))


def measured(systems: tuple[str, ...]) -> list[str]:
    """Copy the rows of docs/results.md that name these systems, each table under a link to its section."""
    results = (DOCS / "results.md").read_text(encoding="utf-8")
    parts = []
    for heading, section in zip(HEADING.findall(results), HEADING.split(results)[2::2], strict=True):
        for table in re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE):
            head, line, *rows = table.splitlines()
            own = [row for row in rows if named_in(row.split("|")[1]) & set(systems)]
            if own:
                parts += [f"[{heading}](../results.md#{slug(heading)})", "\n".join([head, line, *own])]
    return parts


def named_in(text: str) -> set[str]:
    """Find the systems that a text names, as `faster_rcnn` or as Faster R-CNN."""
    text, found = plain(text), set()
    for system in sorted(CATALOG, key=len, reverse=True):
        text, count = re.subn(rf"\b{plain(system)}\b", "", text)
        if count:
            found.add(system)
    return found


def plain(name: str) -> str:
    """Write a name without capitals, hyphens and underscores."""
    return name.lower().replace("-", "").replace("_", " ")


def slug(heading: str) -> str:
    """Make the anchor of a heading, as it is made for the site and by most hosts."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


if __name__ == "__main__":
    write_pages()
