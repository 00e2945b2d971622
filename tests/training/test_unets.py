from functools import partial

import pytest
import torch

from prompts.plugins import load_plugin
from training.unets import UNETS
from training.unets.counting import measure
from training.unets.sdxl import family

# Text tokens of CLIP's encoders; 256 px images become 32 x 32 latents.
_TOKENS, _LATENT_PX = 77, 32


def test_sd2_has_the_published_size() -> None:
    size = measure(load_plugin(UNETS, "sd2", "UNet"), latent_px=_LATENT_PX, text_tokens=_TOKENS)

    # Li et al. (2024), arXiv:2404.02883, table 1, SD2-C320: 0.87 B parameters, 86 GMAC without attention's products.
    assert size.parameters == 865_910_724
    assert size.macs_without_attention_core / 1e9 == pytest.approx(86, abs=0.5)
    assert size.macs / 1e9 == pytest.approx(90.5, abs=0.5)


def test_commoncanvas_l_is_sdxl_s_unet_on_texts_of_width_1024() -> None:
    size = measure(load_plugin(UNETS, "sdxl_1024", "UNet"), latent_px=_LATENT_PX, text_tokens=_TOKENS)

    # The same table, SDXL-C320: 2.39 B parameters and 198 GMAC.
    assert size.parameters / 1e6 == pytest.approx(2391.8, abs=0.1)
    assert size.macs_without_attention_core / 1e9 == pytest.approx(198, abs=1)
    assert size.macs / 1e9 == pytest.approx(200.8, abs=1)


@pytest.mark.parametrize(
    ("channels", "depths", "billions", "giga_macs"),
    [
        (128, (0, 2, 10), 0.42, 35),
        (384, (0, 2, 10), 3.40, 282),
        # Printed as 1.24; the configuration has 1.235.
        (320, (0, 2, 4), 1.235, 123),
        (320, (0, 4, 12), 2.86, 243),
    ],
)
def test_the_family_has_the_sizes_of_the_scalability_paper(
    channels: int, depths: tuple[int, int, int], billions: float, giga_macs: float
) -> None:
    build = partial(family, channels=channels, depths=depths)

    size = measure(build, latent_px=_LATENT_PX, text_tokens=_TOKENS)

    # Li et al. (2024), arXiv:2404.02883, table 1.
    assert size.parameters / 1e9 == pytest.approx(billions, abs=0.006)
    assert size.macs_without_attention_core / 1e9 == pytest.approx(giga_macs, abs=1)


def test_the_tiny_unets_are_tiny_and_the_large_one_is_larger() -> None:
    small, large = (load_plugin(UNETS, name, "UNet") for name in ("tiny_s", "tiny_l"))

    sizes = [measure(build, latent_px=8, text_tokens=16) for build in (small, large)]

    assert sizes[0].parameters == 262_036
    assert sizes[1].parameters > 1.9 * sizes[0].parameters


@pytest.mark.parametrize("name", ["tiny_s", "tiny_l"])
def test_a_tiny_unet_denoises_latents_of_the_shapes_world(name: str) -> None:
    unet = load_plugin(UNETS, name, "UNet")()

    predicted = unet(torch.zeros(2, 4, 8, 8), torch.tensor([0, 999]), torch.zeros(2, 16, 64)).sample

    assert predicted.shape == (2, 4, 8, 8)


@pytest.mark.parametrize("name", UNETS)
def test_every_unet_has_four_latent_channels(name: str) -> None:
    with torch.device("meta"):
        unet = load_plugin(UNETS, name, "UNet")()

    assert (unet.config.in_channels, unet.config.out_channels) == (4, 4)
