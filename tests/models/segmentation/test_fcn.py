import timm
import torch
from torch.nn import functional as F

from delineate.models.segmentation.fcn import fcn8s, fcn16s, fcn32s


def test_skips_begin_at_zero_so_fcn8s_begins_as_the_coarser_ones() -> None:
    x = torch.randn(1, 3, 96, 128)
    coarse, fine = fcn32s(num_classes=3, backbone="resnet10t").eval(), fcn8s(num_classes=3, backbone="resnet10t").eval()
    fine.network.encoder.load_state_dict(coarse.network.encoder.state_dict())
    fine.network.scores[0].load_state_dict(coarse.network.scores[0].state_dict())
    # three bilinear steps (2, 2, 8) are not quite one of 32, but away from the borders they are close
    difference = (coarse(x).logits - fine(x).logits)[..., 32:-32, 32:-32].abs().max()
    assert difference < 0.2 * coarse(x).logits.std()


def test_the_sum_of_the_figure() -> None:
    model = fcn16s(num_classes=3, backbone="plain").eval()
    for parameter in model.network.scores.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(1, 3, 64, 96)
    levels = model.network.encoder(x).levels
    deep, skip = model.network.scores[0](levels[4]), model.network.scores[1](levels[3])
    up2, up16 = (up.ups[0].conv.weight for up in model.network.ups)
    summed = F.conv_transpose2d(deep, up2, stride=2, padding=1) + skip
    torch.testing.assert_close(model(x).logits, F.conv_transpose2d(summed, up16, stride=16, padding=8))


def test_fc6_and_fc7_are_the_classifiers_layers_as_convolutions() -> None:
    vgg = timm.create_model("vgg11", num_classes=0).eval()
    encoder = fcn32s(num_classes=2, backbone="vgg11").network.encoder.eval()
    encoder.load_state_dict(encoder.from_published(vgg.state_dict()))
    x = torch.randn(1, 3, 224, 224)
    expected = vgg(x)
    # the window of the whole picture is the centre of the padded 7 x 7 map
    torch.testing.assert_close(encoder(x).levels[-1][:, :, 3, 3], expected, rtol=1e-4, atol=1e-4)
