"""The catalogue: rows that are checked, errors that say where, and lines that thank."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.catalogue import CatalogueError, SourceImage, attribution_of, read_catalogue, write_catalogue

ROW = {
    "id": "1",
    "file": "images/1.jpg",
    "caption": "a dog",
    "licence": "CC-BY-2.0",
    "author": "Ada",
    "origin": "https://example.org/1",
    "title": "Dog",
}
words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)


def write_lines(folder: Path, *lines: str) -> Path:
    (folder / "catalogue.jsonl").write_text("\n".join(lines), "utf-8")
    return folder


@given(texts=st.lists(words, min_size=1, max_size=5, unique=True))
def test_what_is_written_is_read_back(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    images = [
        SourceImage(id=text, file="a/b.png", caption=text, licence=text, author=text, origin=text, title=text)
        for text in texts
    ]
    folder = tmp_path_factory.mktemp("source")

    write_catalogue(folder, images)

    assert list(read_catalogue(folder)) == images


def test_the_title_may_be_left_out_and_empty_lines_are_passed_over(tmp_path: Path) -> None:
    row = {key: value for key, value in ROW.items() if key != "title"}

    [image] = read_catalogue(write_lines(tmp_path, "", json.dumps(row), ""))

    assert image == SourceImage(**row, title="")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", r"line 2: not JSON \(Expecting property name.*column 2\); write one object per line"),
        ("[1]", "line 2: not a JSON object"),
        (json.dumps({key: ROW[key] for key in ROW if key != "author"}), "line 2: author is missing; a row has author"),
        (json.dumps({**ROW, "id": "2", "license": "MIT"}), "line 2: license is unknown; a row has author, caption"),
        (json.dumps({**ROW, "id": 2}), "line 2: id is not text"),
        (json.dumps({**ROW, "id": " ", "licence": ""}), "line 2: id and licence are empty"),
        (json.dumps({**ROW, "id": "2", "file": "/etc/passwd"}), "line 2: the file '/etc/passwd' lies outside"),
        (json.dumps({**ROW, "id": "2", "file": "a/../../b.png"}), "line 2: the file .* lies outside the source"),
        (json.dumps(ROW), "line 2: the id '1' stands in line 1 already"),
    ],
)
def test_a_wrong_row_is_an_error_that_names_file_and_line(tmp_path: Path, line: str, complaint: str) -> None:
    source = write_lines(tmp_path, json.dumps(ROW), line)

    with pytest.raises(CatalogueError, match=f"catalogue.jsonl, {complaint}"):
        list(read_catalogue(source))


def test_a_missing_catalogue_and_one_that_is_not_utf8_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"catalogue.jsonl is missing: a source is a folder with"):
        list(read_catalogue(tmp_path))
    (tmp_path / "catalogue.jsonl").write_bytes(json.dumps(ROW).encode("utf-16"))
    with pytest.raises(CatalogueError, match="line 1: not UTF-8"):
        list(read_catalogue(tmp_path))


@pytest.mark.parametrize(
    ("title", "author", "origin", "licence", "line"),
    [
        (
            "Furggelen afterglow",
            "Lukas Schlagenhauf",
            "https://www.flickr.com/photos/lschlagenhauf/",
            "CC BY-ND 2.0",
            (
                '"Furggelen afterglow" by Lukas Schlagenhauf, https://www.flickr.com/photos/lschlagenhauf/, '
                "CC-BY-ND-2.0 (https://creativecommons.org/licenses/by-nd/2.0/)"
            ),
        ),
        (
            "",
            "Ada\nByron",
            "https://example.org/1",
            "cc by 2.0",
            "Image 7 by Ada Byron, https://example.org/1, CC-BY-2.0 (https://creativecommons.org/licenses/by/2.0/)",
        ),
        ("Moon", "", "", "CC0", '"Moon", CC0-1.0 (https://creativecommons.org/publicdomain/zero/1.0/)'),
    ],
)
def test_an_attribution_names_title_author_source_and_licence_in_one_line(
    title: str, author: str, origin: str, licence: str, line: str
) -> None:
    attribution = attribution_of("7", title, author, origin, licence)

    assert attribution.line == line
    assert attribution.to_dict()["line"] == line
