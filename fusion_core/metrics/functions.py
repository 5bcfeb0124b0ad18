"""The seven metrics as functions of whole images, one by one.

Each takes batches (B, 1, H, W) of integer grey values 0..255 on any device, of any number type, and
returns (B,) in float64. Scored together, by ``metrics.scores``, they share work.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from fusion_core.metrics.conventions import VIF_WINDOWS, Convention, check_convention
from fusion_core.metrics.counts import image_samples
from fusion_core.metrics.edges import edge_sums, edge_value
from fusion_core.metrics.gradients import difference_sums, frequency_value, gradient_value
from fusion_core.metrics.greyscale import grey_images, require_side
from fusion_core.metrics.histogram_scd import correlation_value, entropy_value, pixel_sums
from fusion_core.metrics.ssim import WINDOW as SSIM_WINDOW
from fusion_core.metrics.ssim import ssim_sums, ssim_value
from fusion_core.metrics.tiles import MetricTile, windows
from fusion_core.metrics.vif import vif_sums, vif_value


def visual_information_fidelity(
    ir: torch.Tensor, vi: torch.Tensor, fused: torch.Tensor, convention: Convention = "published"
) -> torch.Tensor:
    """Measure how much of the sources' information the fused image keeps (VIF).

    Source: Sheikh and Bovik, "Image information and visual quality", IEEE TIP 15(2), 2006, in the
    pixel-domain multi-scale form of the authors' ``vifp_mscale``: grey values 0..255, noise
    variance 2, four scales with N x N Gaussian windows of N = 17, 9, 5, 3 and sigma = N / 5, no
    padding; before each scale but the first, filtering with that scale's window and keeping every
    second row and column, the first included. Per source the ratio of the sums over all scales.
    Published: the sum of both sources' ratios; textbook: their mean.

    Returns:
        (B,) float64. Published: 2 where all three images are equal, 0 where the fused image is
        constant. NaN where a source is constant. A side below 41 px leaves out the coarser scales
        that don't fit. Within 1e-5 of the value in float64, also where an image is dark and flat.

    Raises:
        MetricError: A side is below 17 px, or the images aren't grey images of one shape (see
            ``grey_images``).
    """
    check_convention(convention)
    images = grey_images("vif", ir=ir, vi=vi, fused=fused)
    require_side("vif", images, VIF_WINDOWS[0])
    return vif_value(_over_tiles(images, vif_sums), convention)


def average_gradient(fused: torch.Tensor, convention: Convention = "published") -> torch.Tensor:
    """Average the strength of the fused image's gradient (AG).

    Source: Cui, Feng, Xu, Li and Chen, "Detail preserved fusion of visible and infrared images
    using regional saliency extraction and multi-scale image decomposition", Optics Communications
    341, 2015: the sum of sqrt((dx^2 + dy^2) / 2) over (H - 1)(W - 1), grey values 0..255.
    Published: central differences inside and one-sided ones at the border (``numpy.gradient``),
    all H x W pixels summed; textbook: forward differences of the (H - 1) x (W - 1) pixels that
    have both.

    Returns:
        (B,) float64, grey values per pixel; 0 where the image is constant.

    Raises:
        MetricError: A side is 1 px, or the image isn't a grey image (see ``grey_images``).
    """
    check_convention(convention)
    images = grey_images("ag", fused=fused)
    require_side("ag", images, 2)
    if convention == "published":
        sums = _over_tiles(images, lambda tile: edge_sums(tile)["gradients"])
    else:
        sums = _over_tiles(images, lambda tile: difference_sums(tile, convention)["gradients"])
    height, width = images.shape[-2:]
    return gradient_value(sums, height, width)


def sum_of_correlations_of_differences(
    ir: torch.Tensor, vi: torch.Tensor, fused: torch.Tensor
) -> torch.Tensor:
    """Correlate what the fused image adds to one source with the other source (SCD).

    Source: Aslantas and Bendes, "A new image quality metric for image fusion: the sum of the
    correlations of differences", AEU 69(12), 2015. Both conventions: r(fused - vi, ir) +
    r(fused - ir, vi) with signed differences and Pearson's r over all pixels.

    Returns:
        (B,) float64, -2 to 2; NaN where a source is constant, or the fused image differs from a
        source by a constant or not at all.

    Raises:
        MetricError: The images aren't grey images of one shape (see ``grey_images``).
    """
    images = grey_images("scd", ir=ir, vi=vi, fused=fused)
    sums = _over_tiles(images, lambda tile: pixel_sums(tile)["sums"])
    products = _over_tiles(images, lambda tile: pixel_sums(tile)["products"])
    return correlation_value(sums, products, images[0, 0].numel())


def edge_preservation(
    ir: torch.Tensor, vi: torch.Tensor, fused: torch.Tensor, convention: Convention = "published"
) -> torch.Tensor:
    """Measure how well the fused image keeps the sources' edges (Qabf).

    Source: Xydeas and Petrovic, "Objective image fusion performance measure", Electronics Letters
    36(4), 2000: 3 x 3 Sobel; angle atan(gy / gx), +pi/2 wherever gx = 0; angles compared without
    wrap-around; every pixel weighted with the source's edge strength (L = 1), no threshold;
    constants 0.9994, 15, 0.5 for strength and 0.9879, 22, 0.8 for angle. Published: zeros outside
    the image, so that the border takes part as a strong edge, and where strengths are equal their
    ratio is the strength itself, as in the code behind the tables; textbook: pixels whose Sobel
    window lies inside the image, and equal strengths have the ratio 1.

    Returns:
        (B,) float64, 0 to 0.9754 (equal images stay just below); NaN where neither source has an
        edge (published: both black; textbook: both constant, or a side below 3 px).

    Raises:
        MetricError: The images aren't grey images of one shape (see ``grey_images``).
    """
    check_convention(convention)
    images = grey_images("qabf", ir=ir, vi=vi, fused=fused)
    return edge_value(_over_tiles(images, lambda tile: edge_sums(tile, convention)["edges"]))


def spatial_frequency(fused: torch.Tensor, convention: Convention = "published") -> torch.Tensor:
    """Measure the fused image's overall activity (SF).

    Source: Eskicioglu and Fisher, "Image quality measures and their performance", IEEE Trans.
    Communications 43(12), 1995: the root of the sum of the mean squared vertical and the mean
    squared horizontal first difference, no padding, grey values 0..255. Published: each mean over
    its own number of differences, (H - 1) W and H (W - 1); textbook: both over H W.

    Returns:
        (B,) float64, grey values; 0 where the image is constant, NaN where a side is 1 px.

    Raises:
        MetricError: The image isn't a grey image (see ``grey_images``).
    """
    check_convention(convention)
    images = grey_images("sf", fused=fused)
    sums = _over_tiles(images, lambda tile: difference_sums(tile)["differences"])
    height, width = images.shape[-2:]
    return frequency_value(sums, image_samples(height, width, convention), convention)


def entropy(fused: torch.Tensor) -> torch.Tensor:
    """Measure the Shannon entropy of the fused image's grey values (EN).

    Source: Shannon, "A mathematical theory of communication", 1948. Both conventions: one bin for
    each of the 256 grey values, logarithm to base 2, nothing added inside the logarithm.

    Returns:
        (B,) float64, bits per pixel, 0 (a constant image) to 8.

    Raises:
        MetricError: The image isn't a grey image (see ``grey_images``).
    """
    images = grey_images("en", fused=fused)
    return entropy_value(_over_tiles(images, lambda tile: pixel_sums(tile)["histogram"]))


def structural_similarity(
    ir: torch.Tensor, vi: torch.Tensor, fused: torch.Tensor, convention: Convention = "published"
) -> torch.Tensor:
    """Compare the fused image's local means, variances and structure with both sources' (SSIM).

    Source: Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to
    structural similarity", IEEE TIP 13(4), 2004: the mean over all windows inside the image, K1 =
    0.01, K2 = 0.03, grey values 0..255. Published: 7 x 7 uniform window, sample (n - 1)
    covariances and a data range of 2, which older scikit-image took for any float image and fusion
    tables inherit, and the sum over the sources; textbook: 11 x 11 Gaussian window of sigma 1.5,
    data range 255, and the mean over the sources.

    Returns:
        (B,) float64, at most 2 (textbook: 1), reached where all three images are equal.

    Raises:
        MetricError: A side is shorter than the window, or the images aren't grey images of one
            shape (see ``grey_images``).
    """
    check_convention(convention)
    images = grey_images("ssim", ir=ir, vi=vi, fused=fused)
    require_side("ssim", images, SSIM_WINDOW[convention])
    sums = _over_tiles(images, lambda tile: ssim_sums(tile, convention))
    height, width = images.shape[-2:]
    samples = image_samples(height, width, convention)
    return ssim_value(sums, samples["ssim"], convention)


def _over_tiles(images: torch.Tensor, add: Callable[[MetricTile], torch.Tensor]) -> torch.Tensor:
    """Add up over the tiles of images (K, B, H, W)."""
    first, *rest = (MetricTile.cut(images, window) for window in windows(*images.shape[-2:]))
    return sum((add(tile) for tile in rest), add(first))
