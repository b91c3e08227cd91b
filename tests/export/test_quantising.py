"""Heads that stay in floating point are named, and the others are integers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.models.systems import pictures, system_of

from delineate.artefact.sessions import import_openvino
from delineate.export.exporting import write_graph
from delineate.export.quantising import COMPARED, in_floating_point, layers
from delineate.io.signals import signal_stack_kept

HEADS = ["box_head.classify", "box_head.regress"]


def detector() -> Any:
    """Three convolutions with a max pooling between them, which quantisers move across, and two heads."""
    openvino = import_openvino()
    from openvino import opset13 as ops

    random = np.random.default_rng(0)

    def weights(name: str, *shape: int) -> Any:
        made = ops.constant(random.standard_normal(shape).astype(np.float32))
        made.set_friendly_name(f"model.{name}.weight")
        return made

    pictures = ops.parameter([-1, 3, 16, 16], np.float32, name="pictures")
    pictures.output(0).get_tensor().set_names({"pictures"})
    maps = pictures
    for number, channels in enumerate((3, 8, 8)):
        kernel = weights(f"backbone.{number}", 8, channels, 3, 3)
        maps = ops.relu(ops.convolution(maps, kernel, [1, 1], [1, 1], [1, 1], [1, 1]))
        if number == 1:
            maps = ops.max_pool(maps, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2]).output(0)
    pooled = ops.reduce_mean(maps, ops.constant([2, 3]), keep_dims=False)
    outputs = [ops.matmul(pooled, weights(name, 5, 8), False, True) for name in HEADS]
    for name, output in zip(HEADS, outputs, strict=True):
        output.set_friendly_name(name)
    return openvino.Model(outputs, [pictures])


@pytest.mark.parametrize("kept", [[], HEADS[:1], HEADS])
def test_heads_that_stay_in_floating_point_are_named(kept: list[str], tmp_path: Path) -> None:
    nncf = pytest.importorskip("nncf")
    random = np.random.default_rng(1)
    given = [{"pictures": random.standard_normal((1, 3, 16, 16)).astype(np.float32)} for _ in range(4)]
    ignored = nncf.IgnoredScope(names=kept) if kept else None
    with signal_stack_kept():
        quantised = nncf.quantize(detector(), nncf.Dataset(given), subset_size=4, ignored_scope=ignored)
    assert sorted(in_floating_point(quantised)) == kept
    import_openvino().save_model(quantised, tmp_path / "graph.xml", compress_to_fp16=False)
    total, named = layers(tmp_path / "graph.xml")
    assert (total, sorted(named)) == (5, kept)


def test_of_a_graph_that_was_not_quantised_every_layer_is_in_floating_point() -> None:
    assert sorted(in_floating_point(detector())) == [*(f"backbone.{number}" for number in range(3)), *HEADS]


@pytest.mark.usefixtures("_without_shape_checks")
def test_what_is_compared_stays_in_floating_point(tmp_path: Path) -> None:
    nncf = pytest.importorskip("nncf")
    system = system_of("segnet_basic")
    write_graph(system, tmp_path / "graph.xml", "openvino")
    given = [{"pictures": pictures(1, (64, 64))[0].numpy()}]
    with signal_stack_kept():
        quantised = nncf.quantize(
            import_openvino().Core().read_model(tmp_path / "graph.xml"),
            nncf.Dataset(given),
            subset_size=1,
            ignored_scope=nncf.IgnoredScope(types=COMPARED, validate=False),
        )
    compared = [node for node in quantised.get_ops() if node.get_type_name() in COMPARED]
    assert {node.get_type_name() for node in compared} == set(COMPARED)
    before = [port.get_source_output().get_node().get_type_name() for node in compared for port in node.inputs()]
    assert "FakeQuantize" not in before
