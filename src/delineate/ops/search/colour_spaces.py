"""The colour spaces in which selective search looks for regions (Uijlings et al. 2013, section 3.2)."""

import numpy as np
from numpy.typing import NDArray

from delineate.ops.search.graph_segmentation import Floats, fast


def colour_space(rgb: NDArray[np.uint8], name: str) -> Floats:
    """Convert a picture to hsv, lab, rgi (normalised red and green, and intensity), h or i, `(c, h, w)`."""
    if name == "lab":
        return lab(rgb)
    colours = rgb.astype(np.float32)
    if name in ("hsv", "h"):
        return hsv(colours)[: len(name)]
    intensity: Floats = colours.mean(0, keepdims=True)
    if name == "i":
        return intensity
    assert name == "rgi", name
    return np.concatenate([colours[:2] * (85 / np.maximum(intensity, 1)), intensity])


def hsv(colours: Floats) -> Floats:
    """Convert to hue, saturation and value, each 0 .. 255."""
    red, green, blue = colours
    value = colours.max(0)
    chroma = value - colours.min(0)
    divisor = np.maximum(chroma, 1)
    hue = np.where(value == green, (blue - red) / divisor + 2, (red - green) / divisor + 4)
    hue = np.where(value == red, (green - blue) / divisor % 6, hue)
    return np.stack([hue * np.float32(255 / 6), chroma * 255 / np.maximum(value, 1), value])


@fast
def lab(rgb: NDArray[np.uint8]) -> Floats:
    """Convert sRGB under D65 to CIE L*a*b*; L* is scaled, a* and b* are moved to 0 .. 255."""
    steps = np.arange(256) / 255
    linear = np.where(steps <= 0.04045, steps / 12.92, ((steps + 0.055) / 1.055) ** 2.4).astype(np.float32)
    # rows: X, Y and Z, each as a share of white's
    matrix = np.array([[0.43395, 0.37622, 0.18983], [0.21267, 0.71515, 0.07218], [0.01776, 0.10947, 0.87277]])
    weights = matrix.astype(np.float32)
    planes = np.empty(rgb.shape, np.float32)
    xyz = np.empty(3, np.float32)
    for y in range(rgb.shape[1]):
        for x in range(rgb.shape[2]):
            red, green, blue = linear[rgb[0, y, x]], linear[rgb[1, y, x]], linear[rgb[2, y, x]]
            for row in range(3):
                share = weights[row, 0] * red + weights[row, 1] * green + weights[row, 2] * blue
                xyz[row] = np.cbrt(share) if share > 0.008856 else 7.787 * share + 16 / 116
            planes[0, y, x] = 2.55 * (116 * xyz[1] - 16)
            planes[1, y, x] = 500 * (xyz[0] - xyz[1]) + 128
            planes[2, y, x] = 200 * (xyz[1] - xyz[2]) + 128
    return planes
