import pytest
import torch

from delineate.models.segmentation.sliding_window import PATCH, STRIDE, _surround, sliding_window_segmenter


@pytest.mark.parametrize("size", [(40, 56), (33, 47), (4, 9)])
def test_the_convolutional_form_gives_the_same_scores_window_by_window(size: tuple[int, int]) -> None:
    shared = sliding_window_segmenter(num_classes=5, width=8, fully_convolutional=True).eval()
    apart = sliding_window_segmenter(num_classes=5, width=8, fully_convolutional=False).eval()
    apart.load_state_dict(shared.state_dict())
    images = torch.randn(2, 3, *size)
    torch.testing.assert_close(shared(images).logits, apart(images).logits, rtol=1e-4, atol=1e-5)


def test_a_score_is_the_classifiers_of_the_patch_around_it() -> None:
    model = sliding_window_segmenter(num_classes=5, width=8).eval()
    padded = _surround(torch.randn(1, 3, 40, 56))
    scores = model.network.classifier(padded)
    for row, column in ((0, 0), (3, 7), (9, 13)):
        top, left = row * STRIDE, column * STRIDE
        patch = padded[..., top : top + PATCH, left : left + PATCH]
        expected = model.network.classifier(patch)
        assert expected.shape == (1, 5, 1, 1)
        torch.testing.assert_close(scores[..., row, column], expected[..., 0, 0], rtol=1e-4, atol=1e-5)


def test_chunks_do_not_change_the_scores() -> None:
    model = sliding_window_segmenter(num_classes=5, width=8).eval()
    padded = _surround(torch.randn(2, 3, 24, 20))
    torch.testing.assert_close(model.network.window_scores(padded, 7), model.network.window_scores(padded, 1024))
