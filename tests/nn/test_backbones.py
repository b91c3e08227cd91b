from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch
from torch import Tensor

from delineate.nn.backbones import TimmBackbone, VGGBackbone, load_backbone_weights, read_weights, timm_backbone
from delineate.values import InputError


@pytest.mark.parametrize("name", ["resnet10t", "convnext_atto", "vgg11_bn", "efficientnet_lite0"])
@pytest.mark.parametrize("size", [(64, 96), (37, 75)])
def test_levels_have_the_declared_channels_and_strides(name: str, size: tuple[int, int]) -> None:
    backbone = timm_backbone(name, tap="pool").eval()
    levels = backbone(torch.randn(1, 3, *size)).levels
    for level, channels, stride in zip(levels, backbone.channels, backbone.strides, strict=True):
        assert level.shape == (1, channels, -(-size[0] // stride), -(-size[1] // stride))


def test_vgg_computes_what_timms_does() -> None:
    reference = timm.create_model("vgg11", features_only=True).eval()
    backbone = VGGBackbone("vgg11", tap="conv").eval()
    weights = {key.replace("features_", "features."): value for key, value in reference.state_dict().items()}
    load_backbone_weights(backbone, weights, "reference")
    x = torch.randn(1, 3, 64, 96)
    for ours, theirs in zip(backbone(x).levels, reference(x), strict=False):
        torch.testing.assert_close(ours, theirs)


def test_indices_say_where_the_maxima_came_from() -> None:
    backbone = VGGBackbone("vgg11", tap="conv").eval()
    features = backbone(torch.randn(1, 3, 45, 70))
    assert set(features.indices) == set(backbone.index_channels) == {2, 4, 8, 16}
    full = features.levels[0].flatten(2)
    pooled = torch.nn.functional.max_pool2d(features.levels[0], 2, ceil_mode=True)
    torch.testing.assert_close(full.gather(2, features.indices[2].flatten(2)), pooled.flatten(2))


@pytest.mark.parametrize("name", ["resnet18", "convnext_atto", "vgg11_bn"])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_published_classifiers_weights_load(name: str, suffix: str, tmp_path: Path) -> None:
    published = timm.create_model(name).state_dict()
    file = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(published, file)
    else:
        safetensors.torch.save_file(published, file)
    backbone = timm_backbone(name, tap="conv")
    load_backbone_weights(backbone, read_weights(file), str(file))
    own = next(value for key, value in backbone.state_dict().items() if key.endswith("weight"))
    assert torch.equal(own, next(value for key, value in published.items() if key.endswith("weight")))


def test_weights_of_another_backbone_are_refused(tmp_path: Path) -> None:
    weights = timm.create_model("resnet10t").state_dict()
    with pytest.raises(InputError, match=r"weights.pth: .*weight"):
        load_backbone_weights(TimmBackbone("resnet18"), weights, "weights.pth")
    (tmp_path / "broken.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match=r"broken.safetensors: not a file of weights"):
        read_weights(tmp_path / "broken.safetensors")
    with pytest.raises(InputError, match="no such file"):
        read_weights(tmp_path / "none.pth")


def test_frozen_stages_neither_learn_nor_move_their_statistics() -> None:
    backbone = timm_backbone("resnet10t", tap="conv")
    backbone.freeze_until(1)
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    backbone.train()
    sum(level.sum() for level in backbone(torch.randn(2, 3, 64, 64)).levels).backward()
    learning = {key for key, parameter in backbone.named_parameters() if parameter.grad is not None}
    assert learning
    assert all(key.startswith(("body.layer2", "body.layer3", "body.layer4")) for key in learning)
    moved = {key for key, value in backbone.state_dict().items() if not torch.equal(value, before[key])}
    assert moved
    assert all(key.startswith(("body.layer2", "body.layer3", "body.layer4")) for key in moved)
    with pytest.raises(InputError, match=r"choose 0..4"):
        backbone.freeze_until(9)


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(InputError, match="'resnet19' is no timm model; near: resnet18"):
        TimmBackbone("resnet19")


def test_a_model_of_one_picture_size_is_refused() -> None:
    with pytest.raises(InputError, match="cannot take every picture size"):
        TimmBackbone("vit_tiny_patch16_224")


def test_the_published_weights_own_normalisation() -> None:
    assert TimmBackbone("resnet10t").imagenet_statistics()["mean"] == (0.485, 0.456, 0.406)
    assert TimmBackbone("xception41").imagenet_statistics() == {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}


def test_pretrained_without_a_network_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    backbone = TimmBackbone("resnet10t")
    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(InputError, match=r"resnet10t could not be fetched \(no route to host\); .*--backbone-weights"):
        backbone.imagenet_weights()


@pytest.mark.parametrize("name", ["resnet10t", "efficientnet_lite0", "mobilenetv3_small_050", "convnext_atto"])
def test_every_level_has_a_stage(name: str) -> None:
    backbone = TimmBackbone(name)
    assert len(backbone.stages()) == len(backbone.strides)
    parts = [parameter for stage in backbone.stages() for parameter in stage.parameters()]
    assert {id(parameter) for parameter in parts} == {id(parameter) for parameter in backbone.parameters()}


def test_a_backbone_of_branches_is_padded() -> None:
    backbone = TimmBackbone("hrnet_w18_small").eval()
    levels = backbone(torch.randn(1, 3, 45, 70)).levels
    assert [level.shape[-2:] for level in levels] == [(23, 35), (12, 18), (6, 9), (3, 5), (2, 3)]
    with pytest.raises(InputError, match="cannot be told apart"):
        backbone.freeze_until(0)


@pytest.mark.parametrize("name", ["resnet10t", "tf_efficientnet_lite0", "tf_mobilenetv3_small_minimal_100"])
@torch.inference_mode()
def test_a_thing_stands_at_the_same_place_whatever_the_pictures_size(name: str) -> None:
    backbone = timm_backbone(name).eval()

    def places(size: int) -> list[Tensor]:
        spot = torch.zeros(1, 3, size, size)
        spot[..., 232:248, 200:216] = 1.0
        maps = zip(backbone(spot).levels, backbone(torch.zeros_like(spot)).levels, strict=True)
        changes = [(seen - empty)[0].square().sum(0) for seen, empty in maps]
        return [
            torch.stack([(change.sum(1 - axis) * torch.arange(change.shape[axis])).sum() for axis in range(2)])
            / change.sum()
            for change in changes
        ]

    for of_even_maps, of_odd_ones in zip(places(512), places(496), strict=True):
        torch.testing.assert_close(of_odd_ones, of_even_maps, atol=0.05, rtol=0)


def test_strides_other_than_powers_of_two_are_refused() -> None:
    with pytest.raises(InputError, match="not powers of 2"):
        TimmBackbone("crossvit_9_240")


def test_what_holds_no_weights_is_named(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(InputError, match=r"list.pth: holds a list"):
        read_weights(tmp_path / "list.pth")


@pytest.mark.parametrize("name", ["resnet10t", "convnext_atto", "efficientnet_lite0", "dla34"])
def test_a_backbone_may_end_before_its_last_levels(name: str) -> None:
    whole, part = timm_backbone(name), timm_backbone(name, deepest_stride=16)
    assert part.strides == whole.strides[:-1]
    assert part.strides[-1] == 16
    assert len(part.state_dict()) < len(whole.state_dict())
    part.load_state_dict({key: whole.state_dict()[key] for key in part.state_dict()})
    x = torch.randn(1, 3, 64, 96)
    torch.testing.assert_close(part.eval()(x).levels, whole.eval()(x).levels[:-1])


def test_a_vgg_that_ends_at_stride_16_has_all_its_convolutions() -> None:
    part = timm_backbone("vgg11", deepest_stride=16)
    assert isinstance(part, VGGBackbone)
    assert part.strides == (1, 2, 4, 8, 16)
    assert sum(part.depths) == 8


def test_a_backbone_without_such_a_level_is_refused() -> None:
    with pytest.raises(InputError, match="timm's convnext_atto has no map of stride 2 or finer"):
        timm_backbone("convnext_atto", deepest_stride=2)


def test_frozen_norms_stay_as_they_are_while_the_rest_learns() -> None:
    backbone = timm_backbone("resnet10t")
    backbone.freeze_norms()
    norms = {name for name, module in backbone.named_modules() if isinstance(module, torch.nn.BatchNorm2d)}
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    backbone.train()
    optimizer = torch.optim.SGD([p for p in backbone.parameters() if p.requires_grad], lr=0.1)
    sum(level.sum() for level in backbone(torch.randn(2, 3, 64, 64)).levels).backward()
    optimizer.step()
    moved = {key for key, value in backbone.state_dict().items() if not torch.equal(value, before[key])}
    assert moved
    assert not {key.rpartition(".")[0] for key in moved} & norms
    assert all(module.training == (name not in norms) for name, module in backbone.named_modules())


@pytest.mark.parametrize("name", ["resnet10t", "convnext_atto", "efficientnet_lite0"])
@pytest.mark.parametrize("size", [(64, 96), (37, 75)])
def test_a_dilated_backbone_has_the_published_weights_and_no_map_of_a_coarser_stride(
    name: str, size: tuple[int, int]
) -> None:
    whole, dilated = timm_backbone(name).eval(), timm_backbone(name, output_stride=16).eval()
    load_backbone_weights(dilated, timm.create_model(name).state_dict(), "published")
    dilated.load_state_dict(whole.state_dict())
    assert dilated.channels == whole.channels
    assert dilated.strides == (*whole.strides[:-1], 16)
    images = torch.randn(1, 3, *size)
    levels = dilated(images).levels
    torch.testing.assert_close(levels[:-1], whole(images).levels[:-1])
    assert levels[-1].shape == (1, whole.channels[-1], -(-size[0] // 16), -(-size[1] // 16))
    dilated.freeze_until(len(dilated.strides) - 1)
    assert not any(parameter.requires_grad for parameter in dilated.parameters())


@pytest.mark.parametrize(("name", "stride"), [("vgg11", 16), ("hrnet_w18_small", 16), ("efficientnet_lite0", 12)])
def test_an_output_stride_that_a_backbone_cannot_have_is_refused(name: str, stride: int) -> None:
    with pytest.raises(InputError, match=rf"output_stride: timm's {name} cannot have {stride}; choose 8, 16 or 32"):
        timm_backbone(name, output_stride=stride)
