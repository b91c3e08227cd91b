import json
from pathlib import Path

import pytest
import torch
from tests.models.systems import TINY, pictures, system_of

from delineate.models.contract import Inputs
from delineate.models.queries.transformer import Attention
from delineate.models.segmentation.unet import unet
from delineate.study.explain import explain, origin, write_explanation
from delineate.study.explain.explain import EXPLAINED
from delineate.study.explain.queries import attention_weights
from delineate.study.explain.regression import over_training
from delineate.study.explain.stages import Seen, Stage, boxes_score
from delineate.system.catalog import CATALOG
from delineate.viz import write_picture
from delineate.viz.verdicts import RIGHT

LAST = {
    "segment": "The best class of each pixel",
    "localize": "Class and box",
    "pose": "Joints, moved by look 2",
    "instance": "Masks",
    "keypoints": "Poses",
}


@pytest.mark.parametrize("name", [name for name in TINY if name not in ("ssd300", "ssd512")])
def test_every_system_shows_its_stages(name: str, tmp_path: Path) -> None:
    stages = explain(system_of(name), pictures(1)[0][0], score=0.0)
    assert stages[0].title == "The picture"
    after = "What they say" if "detr" in name else "After NMS"
    assert stages[-1].title == LAST.get(CATALOG[name].task.name, after)
    assert len({stage.title for stage in stages}) == len(stages) >= 3
    for stage in stages:
        assert stage.line.endswith(".")
        assert all(image.dtype == torch.uint8 and image.shape[0] == 3 for _, image in stage.pictures)
        assert stage.pictures
    write_explanation(tmp_path / "page.html", stages, title="<b>")
    html = (tmp_path / "page.html").read_text()
    assert "&lt;b&gt;" in html
    assert html.count("<img") == sum(len(stage.pictures) for stage in stages)


def test_maps_have_their_own_strides_shapes_and_extent() -> None:
    """A picture of 96 rows is padded to 128 for stride 64, whose map has 2 rows, not 1.5."""
    system, image = system_of("faster_rcnn"), torch.full((3, 96, 96), 100, dtype=torch.uint8)
    features = explain(system, image)[2]
    strides = system.model.pyramid.strides
    assert [caption.split(",")[0] for caption, _ in features.pictures] == [f"stride {stride}" for stride in strides]
    assert features.pictures[-1][0].endswith(" x 2 x 2, for the RPN alone")
    assert features.scale == "the largest value of each map"
    seen = Seen(system=system, image=image, inputs=Inputs(torch.zeros(1, 3, 96, 96)))
    heat = seen.heat(torch.tensor([[0.0, 1.0], [0.0, 1.0]]), stride=64).float().mean(0)
    assert (heat[0] > heat[0, 0]).float().mean() == pytest.approx(32 / 96, abs=0.01)


@pytest.mark.parametrize(
    ("count", "words"), [(0, "No box scores 0.50 or more"), (1, "1 box scores"), (1200, "1,200 boxes score")]
)
def test_any_number_of_boxes_is_a_sentence(count: int, words: str) -> None:
    assert boxes_score(count, 0.5).startswith(words)


def test_a_page_names_paper_and_code_and_what_colours_mean(tmp_path: Path) -> None:
    stages = [
        Stage(title="maps", line="a map.", pictures=[("a", torch.zeros(3, 4, 4, dtype=torch.uint8))], scale="5 bits")
    ]
    write_explanation(tmp_path / "page.html", stages, title="unet", origin=origin("unet"))
    html = (tmp_path / "page.html").read_text()
    assert '<a href="https://arxiv.org/abs/1505.04597">Ronneberger' in html
    assert "<summary>Code: delineate.models.segmentation.unet.unet</summary>" in html
    assert '<pre class="card">def unet(' in html
    assert '<div class="card fitted">' in html, "one picture has a card of its own width"
    assert '<div class="views one">' in html
    assert "</i> 5 bits" in html
    assert "#0d083c" in html, "the darkest shade"


@pytest.mark.parametrize(
    ("upsampler", "words"),
    [
        ("transposed", "a transposed convolution"),
        ("max_unpool", "max unpooling"),
        ("bed_of_nails", "bed of nails upsampling"),
    ],
)
def test_upsamplers_are_named_in_words(upsampler: str, words: str) -> None:
    model = unet(num_classes=3, backbone="plain", width=4, upsampler=upsampler)
    way_back = explain(system_of("unet", model), pictures(1)[0][0])[1]
    assert way_back.line.startswith(f"What {words} makes of the map before it, step by step")
    before, after = way_back.pictures[0][0].split(" to ")
    assert [len(each.split(" x ")) for each in (before, after)] == [3, 3], "their shapes"


def test_a_regression_has_its_truth_beside(tmp_path: Path) -> None:
    write_picture(tmp_path / "1.jpg", torch.full((3, 64, 64), 100, dtype=torch.uint8))
    first = {"picture": "1.jpg", "box": [0, 0, 1, 1], "joints": [[0.25, 0.25], [0.75, 0.75]]}
    first["truth"] = {"box": [0, 0, 1, 1], "joints": [[0.5, 0.25], None]}
    rows = [{"epoch": epoch, "pictures": [first]} for epoch in (1, 2)]
    (tmp_path / "regression.json").write_text(json.dumps(rows))
    ((_, predicted), (caption, truth)) = over_training(tmp_path)[0].pictures
    assert caption == "truth of picture 1"
    assert truth[:, 16, 32].tolist() == list(RIGHT)
    assert truth[:, 48, 48].tolist() == predicted[:, 60, 5].tolist(), "a joint that is not annotated"


def test_an_explanation_changes_nothing() -> None:
    system = system_of("faster_rcnn")
    image = pictures(1)[0][0]
    (before,) = system.infer([image])
    explain(system, image)
    (after,) = system.infer([image])
    assert torch.equal(before.boxes, after.boxes)
    assert system.reader.thresholds.nms_iou == 0.5


@pytest.mark.parametrize(
    ("name", "titles"), [("ssd", ["Before NMS", "After NMS"]), ("rtdetr", ["The result"]), ("unet", ["The result"])]
)
def test_what_a_family_says_nothing_of_shows_its_result(
    name: str, titles: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    system = system_of(name)
    monkeypatch.delitem(EXPLAINED, next(kind for kind in type(system.model).__mro__ if kind in EXPLAINED))
    stages = explain(system, pictures(1)[0][0], score=0.0)
    assert [stage.title for stage in stages] == ["The picture", *titles]
    assert all(stage.pictures for stage in stages)


def test_attention_is_what_pytorch_computes() -> None:
    attention = Attention(16, 4).eval()
    query, key, value = torch.randn(2, 3, 16), torch.randn(2, 5, 16), torch.randn(2, 5, 16)
    weights = attention_weights(attention, query, key)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3))
    theirs = torch.nn.MultiheadAttention(16, 4, batch_first=True).eval()
    with torch.no_grad():
        parts = (attention.query, attention.key, attention.value)
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
    torch.testing.assert_close(weights, theirs(query, key, value)[1], atol=1e-5, rtol=1e-4)


def test_heat_is_brightest_where_the_map_is_highest() -> None:
    image = torch.full((3, 400, 400), 100, dtype=torch.uint8)
    seen = Seen(system=system_of("fcn8s"), image=image, inputs=Inputs(torch.zeros(1, 3, 400, 400)))
    heat = seen.heat(torch.tensor([[0.0, 1.0], [0.5, 0.2]])).float().mean(0)
    assert heat[100, 300] > heat[300, 100] > heat[300, 300] > heat[100, 100]
    assert torch.equal(heat[:200, :200], heat[:1, :1].expand(200, 200))
