import io
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from delineate.deploy import Predictor, prediction_record
from delineate.deploy.batch import Batch, Done, Manifest, Shard, predict_shard, task_of
from delineate.deploy.batch.shards import read_facts
from delineate.io import stores
from delineate.values import InputError

Run = Callable[..., Done]


@pytest.fixture
def predict(boxes_run: Path, pictures: Path, tmp_path: Path) -> Run:
    """Predict a shard of the pictures, or of other paths."""
    finder = Predictor.load(boxes_run, device="cpu")

    def call(number: int, count: int, paths: Any = (pictures,), out: Any = tmp_path / "out", **options: Any) -> Done:
        again = options.pop("again", False)
        batch = Batch(
            manifest=Manifest([str(path) for path in paths]),
            out=str(out),
            task=task_of(finder),
            categories=finder.categories,
            options={"min_score": 0.05, **options},
            made_by={"weights": "abc", **options},
        )
        return predict_shard(batch, finder, Shard(number, count), again=again)

    return call


def rows(*done: Done) -> list[dict[str, Any]]:
    return [row for one in done for row in pq.read_table(one.file, partitioning=None).to_pylist()]


def test_rows_of_shards_are_what_the_predictor_gives(predict: Run, boxes_run: Path, pictures: Path) -> None:
    shards = [predict(number, 3, batch_size=2, workers=2) for number in (1, 2, 3)]
    assert [Path(one.file).name for one in shards] == [f"part-0000{number}-of-00003.parquet" for number in (1, 2, 3)]
    assert [sum(one.pictures for one in shards), sum(one.unreadable for one in shards)] == [7, 1]
    found = rows(*shards)
    assert [row["row"] for row in found] == list(range(7))
    finder = Predictor.load(boxes_run, device="cpu")
    assert sum(one.objects for one in shards) == sum(len(row["boxes"] or ()) for row in found) > 0
    for row in found:
        if row["path"].endswith("2.png"):
            assert row["error"] == f"{row['path']}: this is text, not a picture; replace the file or remove it"
            assert {row[name] for name in row if name not in ("path", "row", "error")} == {None}
            continue
        [prediction] = finder(row["path"], min_score=0.05)
        record = prediction_record(prediction, finder.categories, file=row["path"])
        assert row["error"] is None
        for name in ("height", "width", "labels", "masks"):
            assert row[name] == record[name]
        np.testing.assert_allclose(row["boxes"], record["boxes"], atol=1e-4)
        np.testing.assert_allclose(row["scores"], record["scores"], atol=1e-6)


def test_label_maps_are_pngs_in_rows(maps_run: Path, pictures: Path, tmp_path: Path) -> None:
    finder = Predictor.load(maps_run, device="cpu")
    batch = Batch(
        manifest=Manifest([str(pictures / "1.png"), str(pictures / "2.png")]),
        out=str(tmp_path),
        task=task_of(finder),
        categories=finder.categories,
        options={},
        made_by={},
    )
    done = predict_shard(batch, finder, Shard(1, 1))
    whole, broken = rows(done)
    [expected] = finder(pictures / "1.png")
    assert np.array_equal(np.array(Image.open(io.BytesIO(whole["label_map"]))), expected.label_map.numpy())
    shares = expected.shares(2).tolist()
    assert dict(whole["shares"]) == pytest.approx({"car": shares[0], "sky": shares[1]})
    assert [broken["label_map"], broken["shares"]] == [None, None]
    assert read_facts(done.file)["label_map_names"] == ["car", "sky"]


def test_what_is_done_is_passed_over_and_what_was_made_otherwise_refused(
    predict: Run, pictures: Path, tmp_path: Path
) -> None:
    done = predict(1, 2)
    before = Path(done.file).read_bytes()
    assert predict(1, 2) == Done(done.file, 0, 0, 0, done_before=True)
    with pytest.raises(InputError, match=r"it was made otherwise .tile was None, now .9, 9..; name another --out"):
        predict(1, 2, tile=(9, 9))
    with pytest.raises(InputError, match=r"rows was 7, now 1, rows_of_this_file was .0, 3., now .0, 0."):
        predict(1, 2, [pictures / "0.png"])
    Path(done.file).write_bytes(before[:100])
    with pytest.raises(InputError, match="this is no whole file of results"):
        predict(1, 2)
    assert predict(1, 2, again=True).pictures == 3
    assert rows(done) == rows(predict(1, 2, out=tmp_path / "other"))


def test_no_file_is_there_where_a_shard_was_stopped(
    predict: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Predictor, pictures: Any, **options: Any) -> Any:
        iterator = real(self, pictures, **options)
        yield next(iterator)
        raise KeyboardInterrupt

    real = Predictor.predict
    monkeypatch.setattr(Predictor, "predict", broken)
    with pytest.raises(KeyboardInterrupt):
        predict(1, 1)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_manifest_with_missing_files_loses_nothing(predict: Run, pictures: Path, tmp_path: Path) -> None:
    names = [f"{number % 2}.png" if number % 10 else f"gone{number}.png" for number in range(30)]
    (pictures / "names.txt").write_text("\n".join(names))
    found = rows(*(predict(number, 4, [pictures / "names.txt"]) for number in range(1, 5)))
    assert [row["path"] for row in found] == names
    errors = {row["path"]: row["error"] for row in found if row["error"]}
    assert errors == {name: f"{pictures / name}: No such file or directory" for name in names if "gone" in name}


def test_results_go_to_a_store_and_pictures_come_from_one(predict: Run, pictures: Path) -> None:
    store = fsspec.filesystem("memory")
    store.pipe("/in/a.png", (pictures / "0.png").read_bytes())
    store.pipe("/in/b.png", b"no picture")
    store.pipe("/in/list.csv", b"path\na.png\nb.png\nc.png\n")
    done = predict(1, 1, ["memory://in/list.csv"], "memory://out")
    assert store.ls("/out", detail=False) == ["/out/part-00001-of-00001.parquet"]
    with store.open("/out/part-00001-of-00001.parquet") as file:
        found = pq.read_table(file).to_pylist()
    assert [row["error"] for row in found] == [
        None,
        "memory://in/b.png: this is text, not a picture; replace the file or remove it",
        "memory://in/c.png: it is not there",
    ]
    assert predict(1, 1, ["memory://in/list.csv"], "memory://out") == Done(done.file, 0, 0, 0, done_before=True)


def test_a_store_that_cannot_be_reached_ends_the_work_and_leaves_no_file(
    predict: Run, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "PAUSES", (0.0, 0.0))
    asked = []

    def unreachable(self: Any, path: str, **_: Any) -> bytes:
        asked.append(path)
        raise ConnectionError("no route")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "cat_file", unreachable)
    (tmp_path / "list.txt").write_text(f"{pictures / '0.png'}\nmemory://in/a.png\n")
    with pytest.raises(OSError, match=r"the store cannot be reached or refuses .no route.: 'memory://in/a.png'"):
        predict(1, 1, [tmp_path / "list.txt"])
    assert len(asked) == 3, "it is asked again before it is given up"
    assert list((tmp_path / "out").iterdir()) == []


FULL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from delineate.cli.app import run
sys.exit(run(sys.argv[1:]))
"""


def test_a_full_disk_is_said_in_a_line(boxes_run: Path, pictures: Path, tmp_path: Path) -> None:
    command = ["predict", boxes_run, pictures / "0.png", "--format", "parquet", "--min-score", "0", "--out", tmp_path]
    ended = subprocess.run(
        [sys.executable, "-c", FULL, *map(str, command)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1] == f"error: {tmp_path / 'part-00001-of-00001.parquet'}: File too large"
    assert list(tmp_path.iterdir()) == []


def test_facts_say_what_made_a_file(predict: Run, pictures: Path) -> None:
    facts = read_facts(predict(2, 2, batch_size=1).file)
    assert facts == json.loads(
        json.dumps(
            {
                "weights": "abc",
                "batch_size": 1,
                "paths": [str(pictures)],
                "rows": 7,
                "rows_of_this_file": [3, 7],
                "class_names": ["cell", "clump"],
                "keypoint_names": [],
            }
        )
    )


def test_memory_does_not_grow_with_the_number_of_pictures(predict: Run, pictures: Path, tmp_path: Path) -> None:
    (pictures / "many.txt").write_text("0.png\n" * 40)
    predict(1, 1, [pictures / "many.txt"])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (pictures / "more.txt").write_text("0.png\n" * 400)
    predict(1, 1, [pictures / "more.txt"], tmp_path / "more")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024
