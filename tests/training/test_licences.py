"""Licences: every spelling of every Creative Commons licence, and nothing guessed."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.licences import Collection, Split, UnknownLicenceError, read_licence

# Table 1 of CommonCanvas' supplement (arXiv:2310.16825), spelled as there; the last two are its -C.
YFCC100M = {
    "CC-BY-NC-ND-2.0": 25_790_117,
    "CC-BY-ND-2.0": 4_827_970,
    "CC-BY-NC-2.0": 12_468_229,
    "CC-BY-NC-SA-2.0": 28_314_685,
    "CC-BY-SA 2.0": 9_270_079,
    "CC-BY 2.0": 16_962_338,
}
FAMILIES = ("by", "by-sa", "by-nc", "by-nc-sa", "by-nd", "by-nc-nd")
VERSIONS = ("1.0", "2.0", "2.5", "3.0", "4.0")
LONG = {"by": "Attribution", "nc": "NonCommercial", "nd": "NoDerivs", "sa": "ShareAlike"}


def test_the_splits_add_up_to_the_sizes_of_commoncatalog_in_the_paper() -> None:
    sizes = dict.fromkeys(Split, 0)

    for licence, images in YFCC100M.items():
        sizes[read_licence(licence).split] += images

    # Figure 4 of the paper: CommonCatalog-C and CommonCatalog-NC, which contains the former.
    assert sum(sizes[split] for split in Collection.C.splits) == 26_232_417
    assert sum(sizes[split] for split in Collection.NC.splits) == 67_015_331
    assert sizes[Split.EVALUATION_ONLY] == 30_618_087
    assert sizes[Split.REFUSED] == 0


@pytest.mark.parametrize(("family", "version"), list(itertools.product(FAMILIES, VERSIONS)))
def test_every_spelling_of_a_licence_names_the_same_licence(family: str, version: str) -> None:
    order = "by-nd-nc" if (family, version) == ("by-nc-nd", "1.0") else family
    spellings = [
        f"CC-{family.upper()}-{version}",
        f"cc {family} {version}",
        f"CC {family.upper()} {version}",
        f"cc_{family}_{version}",
        f"Creative Commons {'-'.join(LONG[element] for element in family.split('-'))} {version} Generic",
        f"Creative Commons {' '.join(LONG[element] for element in family.split('-'))} License {version}",
        f"https://creativecommons.org/licenses/{order}/{version}/",
        f"http://creativecommons.org/licenses/{order}/{version}",
        f"//www.creativecommons.org/licenses/{order}/{version}/deed.en",
        f" https://creativecommons.org/licenses/{order}/{version}/legalcode.de?ref=x#s1 ",
    ]

    licences = {read_licence(spelling) for spelling in spellings}

    assert len(licences) == 1
    licence = licences.pop()
    assert licence.name == f"CC-{family.upper()}-{version}"
    assert licence.url == f"https://creativecommons.org/licenses/{order}/{version}/"
    assert licence.asks_attribution


@pytest.mark.parametrize("port", ["de", "fr", "igo", "jp", "scotland", "uk", "us"])
def test_a_port_keeps_its_name_and_address_and_falls_into_the_same_split(port: str) -> None:
    licence = read_licence(f"CC-BY-NC-SA-3.0-{port.upper()}")

    assert licence.name == f"CC-BY-NC-SA-3.0-{port.upper()}"
    assert licence.url == f"https://creativecommons.org/licenses/by-nc-sa/3.0/{port}/"
    assert licence == read_licence(licence.url)
    assert licence.split is Split.NON_COMMERCIAL


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("CC0", "CC0-1.0"),
        ("CC0 1.0 Universal", "CC0-1.0"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0"),
        ("Public Domain Mark 1.0", "CC-PDM-1.0"),
        ("https://creativecommons.org/publicdomain/mark/1.0/deed.en", "CC-PDM-1.0"),
        ("https://creativecommons.org/publicdomain/certification/1.0/us/", "CC-PDDC-1.0-US"),
    ],
)
def test_the_public_domain_is_commercial_and_asks_for_no_attribution(text: str, name: str) -> None:
    licence = read_licence(text)

    assert (licence.name, licence.split, licence.asks_attribution) == (name, Split.COMMERCIAL, False)


@pytest.mark.parametrize(
    "text",
    [
        "All Rights Reserved",
        "CC Sampling+ 1.0",
        "Creative Commons Sampling Plus 1.0",
        "https://creativecommons.org/licenses/nc-sampling+/1.0/",
        "https://creativecommons.org/licenses/devnations/2.0/",
        "No known copyright restrictions",
    ],
)
def test_what_gives_no_leave_is_refused_with_its_reason(text: str) -> None:
    licence = read_licence(text)

    assert licence.split is Split.REFUSED
    assert licence.reason


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "MIT",
        "CC BY",
        "CC-BY-NC",
        "public domain",
        "CC-BY-SA-ND-2.0",
        "CC-BY-BY-2.0",
        "CC-SA-3.0",
        "CC-BY-5.0",
        "CC-BY-2.1",
        "CC-BY-4.0-DE",
        "CC-BY-3.0-ZZ",
        "CC-BY-2.0 & CC-BY-3.0",
        "CC-BY-4.0, but ask me first!",
        "not CC-BY-4.0",
        "https://creativecommons.org/",
        "https://example.org/licenses/by/4.0/",
        "https://creativecommons.org.example.org/licenses/by/4.0/",
    ],
)
def test_an_unknown_licence_is_an_error_that_repeats_it_and_never_a_guess(text: str) -> None:
    with pytest.raises(UnknownLicenceError) as error:
        read_licence(text)

    assert text.strip() in str(error.value)
    assert "CC-BY-SA-4.0" in str(error.value)


def test_version_1_and_the_japanese_2_exist_without_attribution() -> None:
    assert read_licence("https://creativecommons.org/licenses/sa/1.0/").split is Split.COMMERCIAL
    assert read_licence("https://creativecommons.org/licenses/nc-sa/2.0/jp/").split is Split.NON_COMMERCIAL
    assert read_licence("https://creativecommons.org/licenses/nd-nc/1.0/").split is Split.EVALUATION_ONLY


@given(st.sets(st.sampled_from(["by", "nc", "nd", "sa"])), st.sampled_from(["1.0", "2.0", "3.0", "4.0"]))
def test_no_derivatives_never_trains_and_non_commercial_is_never_commercial(elements: set[str], version: str) -> None:
    try:
        licence = read_licence("-".join(["cc", *sorted(elements), version]))
    except UnknownLicenceError:
        return

    trainable = licence.split in Collection.NC.splits
    assert trainable == ("nd" not in elements)
    assert (licence.split in Collection.C.splits) == (not elements & {"nd", "nc"})
