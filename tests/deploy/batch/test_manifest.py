import csv
import io
import json
import tarfile
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from delineate.deploy.batch import Manifest
from delineate.deploy.pictures import to_image
from delineate.values import InputError

NAMES = [f"{number}.png" for number in range(7)]


def paths(manifest: Manifest, number: int = 1, count: int = 1) -> list[str]:
    return [Path(entry.path).name for entry in manifest.entries(number, count)]


@pytest.fixture
def manifests(pictures: Path) -> dict[str, Path]:
    """The pictures, named in every kind of manifest that lies beside them."""
    beside = {kind: pictures / f"list.{kind}" for kind in ("txt", "csv", "jsonl", "parquet")}
    beside["txt"].write_text("\n".join([*NAMES, "", ""]))
    with beside["csv"].open("w", newline="") as file:
        csv.writer(file).writerows([["id", "path"], *([str(n), name] for n, name in enumerate(NAMES))])
    beside["jsonl"].write_text("".join(json.dumps({"path": name, "id": 1}) + "\n" for name in NAMES))
    pq.write_table(pa.table({"id": list(range(7)), "path": NAMES}), beside["parquet"], row_group_size=2)
    return {"folder": pictures, "pattern": pictures / "*.png", **beside}


@pytest.mark.parametrize("kind", ["folder", "pattern", "txt", "csv", "jsonl", "parquet"])
def test_every_kind_of_manifest_is_cut_alike(kind: str, manifests: dict[str, Path], pictures: Path) -> None:
    manifest = Manifest([str(manifests[kind])])
    assert len(manifest) == 7
    for count in (1, 3, 7):
        parts = [paths(manifest, number, count) for number in range(1, count + 1)]
        assert [name for part in parts for name in part] == NAMES, "each is in one shard, in order"
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
    entries = [*manifest.entries(2, 3)]
    assert [entry.row for entry in entries] == [2, 3]
    assert to_image(entries[1].picture).equal(to_image(pictures / "3.png"))


def test_shards_go_through_several_manifests(manifests: dict[str, Path]) -> None:
    manifest = Manifest([str(manifests["txt"]), str(manifests["folder"] / "1.png"), str(manifests["parquet"])])
    assert len(manifest) == 15
    assert [name for number in (1, 2) for name in paths(manifest, number, 2)] == [*NAMES, "1.png", *NAMES]
    assert [entry.row for entry in manifest.entries(2, 2)] == list(range(7, 15))


def test_bytes_of_a_table_are_pictures(pictures: Path, tmp_path: Path) -> None:
    data = [(pictures / name).read_bytes() for name in ("0.png", "1.png")]
    pq.write_table(pa.table({"bytes": [*data, None], "path": ["a", None, "c"]}), tmp_path / "b.parquet")
    first, second, third = Manifest([str(tmp_path)]).entries(1, 1)
    assert [first.path, second.path] == ["a", f"{tmp_path / 'b.parquet'}: row 1"]
    assert to_image(second.picture).equal(to_image(pictures / "1.png"))
    with pytest.raises(InputError, match=r"b.parquet: row 2 \(c\): there are no bytes"):
        to_image(third.picture)


def archive(file: Path, pictures: Path, names: list[str]) -> Path:
    with tarfile.open(file, "w:gz" if file.suffix == ".gz" else "w") as tar:
        for name in names:
            tar.add(pictures / name, f"deep/{name}")
            text = tarfile.TarInfo(f"deep/{name}.json")
            text.size = 2
            tar.addfile(text, io.BytesIO(b"{}"))
    return file


def test_archives_are_whole_in_a_shard(pictures: Path, tmp_path: Path) -> None:
    for number, file in enumerate(("a.tar", "b.tar", "c.tar.gz")):
        archive(tmp_path / file, pictures, NAMES[2 * number : 2 * number + 2])
    manifest = Manifest([str(tmp_path)])
    assert [len(manifest), manifest.usual_shards] == [3, 3]
    assert [paths(manifest, 1, 2), paths(manifest, 2, 2)] == [NAMES[:2], NAMES[2:6]]
    entries = [*manifest.entries(2, 2)]
    assert [entry.row for entry in entries] == [0, 1, 0, 1]
    assert entries[0].path == str(tmp_path / "b.tar" / "deep" / "2.png")
    assert to_image(entries[1].picture).equal(to_image(pictures / "3.png"))
    with pytest.raises(InputError, match="tar shards are predicted by themselves"):
        Manifest([str(tmp_path / "a.tar"), str(pictures)])


@pytest.mark.parametrize("where", ["a picture", "a header", "the end"])
def test_an_archive_that_is_cut_off_says_so_behind_what_is_whole(where: str, pictures: Path, tmp_path: Path) -> None:
    whole = archive(tmp_path / "a.tar", pictures, NAMES[3:6])
    with tarfile.open(whole) as tar:
        last = tar.getmember("deep/5.png")
    cut = {"a picture": last.offset_data + 100, "a header": last.offset + 9, "the end": last.offset}[where]
    (tmp_path / "cut.tar").write_bytes(whole.read_bytes()[:cut])
    *entries, broken = Manifest([str(tmp_path / "cut.tar")]).entries(1, 1)
    assert [Path(entry.path).name for entry in entries] == NAMES[3:5]
    assert broken.path == str(tmp_path / "cut.tar")
    with pytest.raises(InputError, match=r"cut\.tar: it is cut off or broken at deep/"):
        to_image(broken.picture)


def test_an_archive_that_is_broken_within_says_so(pictures: Path, tmp_path: Path) -> None:
    file = archive(tmp_path / "a.tar", pictures, NAMES[3:6])
    data = bytearray(file.read_bytes())
    with tarfile.open(file) as tar:
        header = tar.getmember("deep/5.png").offset
    data[header : header + 512] = b"x" * 512
    file.write_bytes(data)
    assert paths(Manifest([str(file)])) == ["3.png", "4.png", "a.tar"]


def test_stores_are_manifests_and_have_pictures(pictures: Path) -> None:
    store = fsspec.filesystem("memory")
    for name in NAMES:
        store.pipe(f"/bucket/deep/{name}", (pictures / name).read_bytes())
    store.pipe("/bucket/list.txt", "\n".join(f"deep/{name}" for name in NAMES).encode())
    store.pipe("/bucket/.hidden/8.png", b"")
    for url in ("memory://bucket/list.txt", "memory://bucket", "memory://bucket/deep/*.png"):
        manifest = Manifest([url])
        assert paths(manifest) == NAMES
        assert to_image(next(manifest.entries(1, 7)).picture).equal(to_image(pictures / "0.png"))
    store.pipe("/tars/a.tar", archive(pictures.parent / "a.tar", pictures, NAMES[:2]).read_bytes())
    assert paths(Manifest(["memory://tars"])) == NAMES[:2]
    [entry] = Manifest([str(pictures / "0.png")]).entries(1, 1)
    assert entry.picture == pictures / "0.png", "what lies on the disk is read as ever"


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.csv", b"name\nx\n", "its first line has no column 'path'; there are name"),
        ("a.csv", b"path,x\na.png,1\n,2\n", "line 3: there is no path"),
        ("a.jsonl", b'{"path": "a.png"}\n{"name": 1}\n', "line 2 is no JSON object with a 'path'"),
        ("a.parquet", b"PAR1 and not much more", "this is no whole Parquet file"),
        ("a.txt", b"\xff\xfe\xff", "this is no UTF-8"),
        ("folder", None, "there is no picture, no .parquet and no .tar in this folder"),
        ("missing.txt", None, "there is no such picture, manifest or folder"),
        ("*.jpg", None, "no file is named so"),
        ("nowhere://a/b.png", None, "Protocol not known"),
        ("memory://missing/a.txt", None, "there is no such picture, manifest or folder"),
    ],
)
def test_a_manifest_that_is_none_says_why(name: str, content: bytes | None, line: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=line):
        paths(Manifest([name if "://" in name else str(tmp_path / name)]))


def test_a_table_without_pictures_says_which_columns_it_has(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="neither a column 'path' nor 'bytes'; there are id"):
        Manifest([str(tmp_path / "a.parquet")])
