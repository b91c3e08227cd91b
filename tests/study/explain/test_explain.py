from pathlib import Path

import pytest
import torch
from tests.models.systems import TINY, pictures, system_of

from delineate.models.contract import Inputs
from delineate.models.queries.transformer import Attention
from delineate.study.explain import explain, write_explanation
from delineate.study.explain.queries import attention_weights
from delineate.study.explain.stages import Seen
from delineate.system.catalog import CATALOG

LAST = {
    "segment": "The best class of each pixel",
    "localize": "Class and box",
    "pose": "Joints, moved by a second look",
    "instance": "Masks",
    "keypoints": "Poses",
}


@pytest.mark.parametrize("name", [name for name in TINY if name not in ("ssd300", "ssd512")])
def test_every_system_shows_its_stages(name: str, tmp_path: Path) -> None:
    stages = explain(system_of(name), pictures(1)[0][0], score=0.0)
    assert stages[0].title == "The picture"
    after = "What they say" if name.startswith("detr") else "After NMS"
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


def test_an_explanation_changes_nothing() -> None:
    system = system_of("faster_rcnn")
    image = pictures(1)[0][0]
    (before,) = system.infer([image])
    explain(system, image)
    (after,) = system.infer([image])
    assert torch.equal(before.boxes, after.boxes)
    assert system.reader.thresholds.nms_iou == 0.5


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
