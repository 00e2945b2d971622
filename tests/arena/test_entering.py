import json
from pathlib import Path

import pytest

from arena.entering import NotAnEntrantError, read_entrant
from arena.ledger.records import Entrant, EntrantNameError


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    folder = tmp_path / "out" / "s-c-tiny"
    folder.mkdir(parents=True)
    (folder / "model_index.json").write_text("{}")
    return folder


def test_a_diffusers_folder_is_named_after_itself(pipeline: Path) -> None:
    assert read_entrant(str(pipeline)) == Entrant(name="s-c-tiny", source=str(pipeline), sampler="diffusers")


def test_an_entrant_json_gives_name_and_details_and_a_given_name_wins(pipeline: Path) -> None:
    (pipeline / "entrant.json").write_text(json.dumps({"name": "S-C", "parameters": 12, "sampler": {"steps": 5}}))

    said = read_entrant(str(pipeline))

    assert (said.name, said.details) == ("S-C", {"parameters": 12, "sampler": {"steps": 5}})
    assert read_entrant(str(pipeline), name="mine").name == "mine"


def test_a_relative_folder_is_kept_as_a_whole_path(pipeline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pipeline.parent)

    assert read_entrant("s-c-tiny").source == str(pipeline)
    assert read_entrant("./s-c-tiny").name == "s-c-tiny"


def test_a_folder_of_images_is_known_by_its_list(tmp_path: Path) -> None:
    (tmp_path / "gallery.csv").write_text("prompt,file,seed\na cat,1.png,0\n")

    assert read_entrant(str(tmp_path), name="painted").sampler == "image_folder"


@pytest.mark.parametrize("header", ["image,text", "", "file", "File,Prompt"])
def test_a_list_without_its_columns_is_refused(tmp_path: Path, header: str) -> None:
    (tmp_path / "gallery.csv").write_text(f"{header}\n1,2\n")

    with pytest.raises(NotAnEntrantError, match=r"gallery\.csv lacks the column .*needs file, prompt and"):
        read_entrant(str(tmp_path))


def test_a_hub_id_and_a_swatch_are_taken_at_their_word() -> None:
    assert read_entrant("common-canvas/CommonCanvas-S-C") == Entrant(
        name="CommonCanvas-S-C", source="common-canvas/CommonCanvas-S-C", sampler="diffusers"
    )
    assert read_entrant("swatch:warm") == Entrant(name="warm", source="swatch:warm", sampler="swatch")
    assert read_entrant("swatch:warm", name="cold").name == "cold"
    with pytest.raises(EntrantNameError):
        read_entrant("swatch:")


def test_any_other_folder_is_refused_with_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("hello")

    with pytest.raises(
        NotAnEntrantError, match=r"holds neither model_index\.json .* nor gallery\.csv .*, but readme\.txt\. Name"
    ):
        read_entrant(str(tmp_path))


@pytest.mark.parametrize("word", ["", "sd2", "a/b/c", "/no/such/folder", "owner/", "../x", "owner/na me"])
def test_any_other_word_is_refused(word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(NotAnEntrantError, match=r"is no entrant|holds neither"):
        read_entrant(word)


def test_a_file_is_no_entrant(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"")

    with pytest.raises(NotAnEntrantError, match=r"is a file. Name the folder"):
        read_entrant(str(tmp_path / "weights.safetensors"))


@pytest.mark.parametrize("content", ["[]", "no json", '{"name": 3}', '{"loss": NaN}', '"text"'])
def test_a_broken_entrant_json_is_named(pipeline: Path, content: str) -> None:
    (pipeline / "entrant.json").write_text(content)

    with pytest.raises(NotAnEntrantError, match=r"entrant\.json (is no JSON|holds no|has the name)"):
        read_entrant(str(pipeline))
