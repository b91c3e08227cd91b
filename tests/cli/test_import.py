import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torchvision.models.detection import MaskRCNN, fasterrcnn_resnet50_fpn
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

NAME = "fasterrcnn_resnet50_fpn"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("weights") / "theirs.pth"
    torch.save(fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=3).state_dict(), file)
    return file


def test_an_imported_detector_is_used_as_a_run(delineate: Callable, weights: Path, data: Path, tmp_path: Path) -> None:
    run, classes = tmp_path / "run", tmp_path / "classes.txt"
    classes.write_text("cat\n\n dog \n")
    result = delineate("import", NAME, weights, "--out", run, "--classes", classes, "--json").json
    assert result == {"run": str(run), "from": "torchvision", "system": "faster_rcnn", "class_names": ["cat", "dog"]}
    assert sorted(file.name for file in run.iterdir()) == [
        *("best.json", "best.safetensors", "last.json", "last.safetensors")
    ]
    picture = next((data / "images" / "val").iterdir())
    predicted = delineate("predict", run, picture, "--out", tmp_path / "out", "--min-score", 0, "--json").json
    assert set(predicted["labels"]) <= {"cat", "dog"}
    assert "'cat'" in delineate("val", run, data, "--workers", 0).mistake, "the names differ, and nothing else"
    assert "is a run already" in delineate("import", NAME, weights, "--out", run).mistake
    assert json.loads((run / "best.json").read_text())["system"] == "faster_rcnn"
    small = ["--short-side", 64, "--crop-size", 64, 64, "--num-rois", 8, "--epochs", 1, "--workers", 0]
    ended = delineate("train", "faster_rcnn", data, "--weights", run, *small, "--out", tmp_path / "tuned", "--json")
    assert ended.code == 0
    assert f"weights: those of {run}, but for box_head.regress, which begin anew" in ended.err
    assert "classes carried over by name: none; begun anew: disk, ring, square" in ended.err
    arguments = json.loads((tmp_path / "tuned" / "settings.json").read_text())["arguments"]
    assert {"backbone": "resnet50", "frozen_norm": True, "num_rois": 8, "fpn": True}.items() <= arguments.items()


def test_what_no_file_of_torchvision_says_is_said(delineate: Callable, tmp_path: Path) -> None:
    backbone = resnet_fpn_backbone(backbone_name="resnet18", weights=None)
    torch.save(MaskRCNN(backbone, num_classes=2).state_dict(), tmp_path / "mine.pth")
    run, half = tmp_path / "run", [0.5, 0.5, 0.5]
    (tmp_path / "classes.txt").write_text("cell\n")
    sizes = ["--short-side", 320, "--long-side", 640, "--anchor-size", 16, "--mean", *half, "--std", *half]
    names = ["--classes", tmp_path / "classes.txt", "--out", run]
    delineate("import", "maskrcnn_resnet18_fpn", tmp_path / "mine.pth", *sizes, *names)
    facts = json.loads((run / "best.json").read_text())
    assert facts["categories"]["class_names"] == ["cell"]
    assert facts["arguments"] == {"backbone": "resnet18", "frozen_norm": True, "anchor_size": 16}
    assert facts["preprocess"] == {
        "short_side": 320,
        "long_side": 640,
        "size": None,
        "resizing": "sampled",
        "mean": half,
        "std": half,
    }
    elsewhere = ["import", "--from", "transformers", tmp_path / "mine.pth", "--out", tmp_path / "other"]
    assert "short_side: goes with weights of torchvision" in delineate(*elsewhere, "--short-side", 320).mistake


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fastrcnn_resnet50"], f"'fastrcnn_resnet50' is unknown; did you mean {NAME}?"),
        ([NAME, "nowhere.pth"], "nowhere.pth: no such file"),
        ([NAME, "WORDS"], "not a file of weights"),
        ([NAME, "WEIGHTS", "--classes", "WORDS"], "class_names: 1 names, but the weights have 2 classes"),
        ([NAME, "WEIGHTS", "--classes", "nowhere.txt"], "nowhere.txt"),
        ([NAME, "WEIGHTS", "--from", "detectron2"], "'detectron2' is not one of 'torchvision'"),
        ([NAME, "WEIGHTS", "--out", "WORDS"], "is a file; name a folder"),
        ([], "Missing argument 'ARCHITECTURE|FILE'"),
    ],
)
def test_mistakes(delineate: Callable, weights: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    words = tmp_path / "words.pth"
    words.write_text("words")
    paths = {"WEIGHTS": weights, "WORDS": words}
    out = [] if "--out" in arguments else ["--out", tmp_path / "run"]
    assert message in delineate("import", *[paths.get(part, part) for part in arguments], *out).mistake
    assert not (tmp_path / "run").exists()


def test_without_a_network_the_mend_is_said_and_nothing_is_a_result(
    delineate: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        print("Downloading")  # as torch does
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fail)
    ended = delineate("import", NAME, "--out", tmp_path / "run")
    assert (ended.code, ended.out) == (2, "")
    assert "connect, or give the downloaded file" in ended.err


def test_a_file_of_transformers_is_used_as_a_run(delineate: Callable, data: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    size = {"d_model": 16, "encoder_ffn_dim": 128, "decoder_ffn_dim": 128, "num_queries": 5}
    backbone = {"use_timm_backbone": True, "backbone": "resnet50", "use_pretrained_backbone": False}
    config = transformers.DetrConfig(
        **size, **backbone, backbone_config=None, encoder_layers=1, decoder_layers=1, num_labels=2
    )
    torch.save(transformers.DetrForObjectDetection(config).state_dict(), tmp_path / "theirs.pth")
    run = tmp_path / "run"
    result = delineate("import", "--from", "transformers", tmp_path / "theirs.pth", "--out", run, "--json").json
    assert (result["system"], result["class_names"]) == ("detr", ["class_1", "class_2"])
    picture = next((data / "images" / "val").iterdir())
    predicted = delineate("predict", run, picture, "--out", tmp_path / "out", "--min-score", 0, "--json").json
    assert 0 < len(predicted["labels"]) <= 5


def test_d_fine_is_used_as_a_run(delineate: Callable, data: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    width = 32
    backbone = transformers.HGNetV2Config(
        stem_channels=[3, 16, 16],
        stage_in_channels=[16, 64, 256, 512],
        stage_mid_channels=[16, 32, 64, 128],
        stage_out_channels=[64, 256, 512, 1024],
        hidden_sizes=[64, 256, 512, 1024],
        stage_num_blocks=[1, 1, 2, 1],
        stage_numb_of_layers=[3, 3, 3, 3],
        use_learnable_affine_block=True,
        out_indices=[2, 3, 4],
    )
    config = transformers.DFineConfig(
        backbone_config=backbone,
        num_labels=2,
        d_model=width,
        encoder_hidden_dim=width,
        decoder_in_channels=[width] * 3,
        encoder_ffn_dim=4 * width,
        decoder_ffn_dim=4 * width,
        decoder_layers=2,
        decoder_n_points=[3, 6, 3],
        depth_mult=0.34,
    )
    torch.save(transformers.DFineForObjectDetection(config).state_dict(), tmp_path / "theirs.pth")
    run = tmp_path / "run"
    result = delineate("import", "--from", "transformers", tmp_path / "theirs.pth", "--out", run, "--json").json
    assert (result["system"], result["class_names"]) == ("rtdetr", ["class_1", "class_2"])
    arguments = json.loads((run / "best.json").read_text())["arguments"]
    assert arguments["backbone"] == "hgnetv2_b0"
    assert (arguments["box_head"], arguments["fusion"], arguments["fusion_width"]) == ("distribution", "elan", 16)
    picture = next((data / "images" / "val").iterdir())
    predicted = delineate("predict", run, picture, "--out", tmp_path / "out", "--min-score", 0, "--json").json
    assert 0 < len(predicted["labels"]) <= 300
