"""Which files are read, and how; that the systems then give the same is tested in models/two_stage/test_parity.py."""

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import URLError

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN_ResNet50_FPN_Weights, maskrcnn_resnet50_fpn

from delineate.models.two_stage import TwoStageDetector
from delineate.system.importers import import_torchvision, torchvision
from delineate.system.importers.torchvision import Architecture
from delineate.values import InputError

NAME = "maskrcnn_resnet50_fpn"
NUM_CLASSES = 3
PREDICTORS = (
    "roi_heads.box_predictor.cls_score",
    "roi_heads.box_predictor.bbox_pred",
    "roi_heads.mask_predictor.mask_fcn_logits",
)


@pytest.fixture(scope="module")
def theirs() -> nn.Module:
    """A detector whose batch norms have variances so small that an epsilon matters."""
    torch.manual_seed(0)
    model: nn.Module = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=NUM_CLASSES + 1).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.2, 0.4)
            module.running_var.uniform_(1e-5, 1.0)
    return model


@pytest.fixture
def state(theirs: nn.Module) -> dict[str, Tensor]:
    return dict(theirs.state_dict())


def saved(folder: Path, state: dict[str, Any]) -> Path:
    torch.save(state, folder / "weights.pth")
    return folder / "weights.pth"


def levels(model: Any, image: Tensor) -> list[Tensor]:
    with torch.inference_mode():
        return list(model.levels(image) if isinstance(model, TwoStageDetector) else model.backbone(image).values())


@pytest.mark.parametrize("published", [True, False])
def test_the_epsilon_that_published_weights_lack_goes_into_them(
    theirs: nn.Module, state: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, published: bool
) -> None:
    monkeypatch.setattr(torchvision, "_is_published", lambda architecture, file: published)
    ours = import_torchvision(NAME, saved(tmp_path, state)).model
    image = torch.randn(1, 3, 64, 96)
    results = {}
    for epsilon in (0.0, 1e-5):
        for module in theirs.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = epsilon
        results[epsilon] = levels(theirs, image)
    expected = results[0.0 if published else 1e-5]
    for level, known in zip(levels(ours, image), expected, strict=True):
        torch.testing.assert_close(level, known, atol=1e-4 * float(known.abs().max()), rtol=1e-3)
    assert not torch.allclose(results[0.0][0], results[1e-5][0], rtol=1e-2), "else this test tells nothing"


def test_a_published_file_is_known_by_the_hash_in_its_name(tmp_path: Path) -> None:
    file = tmp_path / "renamed.pth"
    file.write_bytes(b"weights")
    beginning = hashlib.sha256(b"weights").hexdigest()[:8]
    architecture = Architecture(SimpleNamespace(url=f"https://x.org/a-b_coco-{beginning}.pth"), "mask_rcnn")
    assert torchvision._is_published(architecture, file)
    file.write_bytes(b"weights, trained further")
    assert not torchvision._is_published(architecture, file)


def test_the_real_ones_have_their_hash_in_their_name() -> None:
    for architecture in torchvision.ARCHITECTURES.values():
        beginning = Path(architecture.published.url).stem.rpartition("-")[2]
        assert len(beginning) == 8
        int(beginning, 16)


def test_ids_that_coco_does_not_use_are_dropped(state: dict[str, Tensor], tmp_path: Path) -> None:
    names = MaskRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"]
    for key in PREDICTORS:
        for kind in ("weight", "bias"):
            value = state[f"{key}.{kind}"]
            rows = len(names) * (4 if "bbox" in key else 1)
            state[f"{key}.{kind}"] = torch.randn(rows, *value.shape[1:])
    system = import_torchvision(NAME, saved(tmp_path, state))
    ours, names_kept = system.model.state_dict(), system.categories.class_names
    assert len(names_kept) == 80
    assert "N/A" not in names_kept
    assert (names_kept[0], names_kept[-1]) == ("person", "toothbrush")
    scores, boxes, masks = (state[f"{key}.bias"] for key in PREDICTORS)
    for row, name in enumerate(names_kept):
        theirs = names.index(name)
        assert ours["box_head.classify.bias"][row] == scores[theirs]
        assert torch.equal(ours["box_head.regress.bias"][4 * row : 4 * row + 4], boxes[4 * theirs : 4 * theirs + 4])
        assert ours["mask_head.classify.bias"][row] == masks[theirs]
    assert ours["box_head.classify.bias"][80] == scores[0], "background is last"


def test_names_of_older_files_are_translated(state: dict[str, Tensor], tmp_path: Path) -> None:
    old = {}
    for key, value in state.items():
        name = key.replace("rpn.head.conv.0.0.", "rpn.head.conv.")
        for block in range(4):
            for part in ("inner", "layer"):
                name = name.replace(f"{part}_blocks.{block}.0.", f"{part}_blocks.{block}.")
            name = name.replace(f"roi_heads.mask_head.{block}.0.", f"roi_heads.mask_head.mask_fcn{block + 1}.")
        if not name.endswith("num_batches_tracked"):
            old[name] = value
    assert len(old.keys() - state.keys()) == 2 + 16 + 8
    expected = import_torchvision(NAME, saved(tmp_path, state)).model.state_dict()
    weights = import_torchvision(NAME, saved(tmp_path, old)).model.state_dict()
    assert all(torch.equal(weights[key], value) for key, value in expected.items())


def test_names_are_given_or_numbered(state: dict[str, Tensor], tmp_path: Path) -> None:
    file = saved(tmp_path, state)
    assert import_torchvision(NAME, file).categories.class_names == ("class_1", "class_2", "class_3")
    given = import_torchvision(NAME, file, class_names=["a", "N/A", "c"])
    assert given.categories.class_names == ("a", "c")
    assert given.preprocess.short_side == 800
    with pytest.raises(InputError, match="class_names: 2 names, but the weights have 3 classes"):
        import_torchvision(NAME, file, class_names=["a", "b"])


def test_what_does_not_fit_is_said(state: dict[str, Tensor], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"'maskrcnn' is unknown; did you mean {NAME}\\? there are fasterrcnn"):
        import_torchvision("maskrcnn")
    with pytest.raises(InputError, match=r"none\.pth: no such file"):
        import_torchvision(NAME, tmp_path / "none.pth")
    (tmp_path / "words.pth").write_text("no weights")
    with pytest.raises(InputError, match=r"words\.pth: not a file of weights"):
        import_torchvision(NAME, tmp_path / "words.pth")
    with pytest.raises(InputError, match=r"weights\.pth: no weight 'roi_heads.*not a detector of torchvision"):
        import_torchvision(NAME, saved(tmp_path, {"conv1.weight": torch.zeros(3)}))
    state.pop("backbone.body.conv1.weight")
    with pytest.raises(InputError, match=r"weights\.pth: does not fit maskrcnn_resnet50_fpn \(Missing key"):
        import_torchvision(NAME, saved(tmp_path, state))


def test_without_a_network_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fail)
    with pytest.raises(InputError, match=r"could not be fetched .*no route to host.*give the downloaded file"):
        import_torchvision(NAME)
