"""The same weights give what Transformers' SegFormer decoder gives."""

import torch
from torch import Tensor, nn
from transformers import SegformerConfig
from transformers.models.segformer.modeling_segformer import SegformerDecodeHead

from delineate.models.segmentation.segformer import SegFormer
from delineate.models.segmentation.segmenter import Segmenter
from delineate.nn.backbones import timm_backbone

NUM_CLASSES, WIDTH = 5, 32


def test_the_decoder_equals_that_of_transformers() -> None:
    torch.manual_seed(0)
    backbone = timm_backbone("resnet10t")
    config = SegformerConfig(
        hidden_sizes=list(backbone.channels[-4:]), decoder_hidden_size=WIDTH, num_labels=NUM_CLASSES
    )
    theirs = SegformerDecodeHead(config)
    nn.init.uniform_(theirs.batch_norm.running_mean, -0.2, 0.2)
    nn.init.uniform_(theirs.batch_norm.running_var, 0.5, 1.5)
    network = SegFormer(backbone=backbone, width=WIDTH, num_classes=NUM_CLASSES)
    pairs: list[tuple[nn.Module, nn.Module]] = [(theirs.batch_norm, network.fuse[0][1])]  # type: ignore[index]
    pairs += zip([layer.proj for layer in theirs.linear_projections], network.embed, strict=True)
    pairs += [(theirs.linear_fuse, network.fuse[0][0]), (theirs.classifier, network.classify)]  # type: ignore[index]
    for source, target in pairs:
        own = target.state_dict()
        target.load_state_dict({key: value.view_as(own[key]) for key, value in source.state_dict().items()})
    ours, images = Segmenter(network=network, num_classes=NUM_CLASSES).eval(), torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        expected: Tensor = theirs.eval()(backbone.eval()(images).levels[-4:])
        expected = nn.functional.interpolate(expected, size=(64, 96), mode="bilinear")
        torch.testing.assert_close(ours(images).logits, expected, atol=1e-4, rtol=1e-4)
