"""What sharing features buys: the same patch classifier window by window and as a fully convolutional network.

The peer is the window-by-window form (with all its windows in large batches), ours the fully convolutional one; the
weights are the same, and so, to float tolerance, are the scores, which is checked before anything is timed.
"""

import argparse

import torch

from delineate.models.segmentation import sliding_window_segmenter
from timing import interleaved, print_rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256, 512], help="sides of square pictures")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    torch.manual_seed(0)
    shared = sliding_window_segmenter(num_classes=11, fully_convolutional=True).eval()
    apart = sliding_window_segmenter(num_classes=11, fully_convolutional=False).eval()
    apart.load_state_dict(shared.state_dict())
    rows = []
    with torch.inference_mode():
        for side in arguments.sizes:
            images = torch.randn(1, 3, side, side)
            torch.testing.assert_close(shared(images), apart(images), rtol=1e-3, atol=1e-4)
            name = f"patch classifier over {side} x {side}: convolutional against window by window, s"
            rows.append(interleaved(name, lambda x=images: shared(x), lambda x=images: apart(x), arguments.repeats))
    print_rows(rows, as_json=arguments.json)


if __name__ == "__main__":
    main()
