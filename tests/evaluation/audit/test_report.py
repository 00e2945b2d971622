"""A report says what the audit found, shows every image behind a blur, and lets no text become markup."""

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import stats
from typer.testing import CliRunner

from arena.entering import read_entrant
from arena.images import ImageStore
from arena.ledger.ledger import Ledger
from evaluation.audit.analysis import analyse
from evaluation.audit.differences import AuditSettings, Verdict
from evaluation.audit.judges.base import JudgeSettings
from evaluation.audit.labels import Label, LabelsError, labels_of, write_labels
from evaluation.audit.report import write_report
from evaluation.audit.report_images import SIDE_PX, Asked, Pictures, asked_of, slug
from evaluation.audit.report_source import ReportSourceError, Source, read_source
from evaluation.audit.report_words import MEANINGS, headline, p_words, points, targets_of
from evaluation.audit.run import JudgeChoice, run_audit
from evaluation.cli_audit_report import ReportOptionError, report
from evaluation.folder_stage import OtherSettingsError, StageError, StageResult
from evaluation.metrics.base import Weights
from prompts.probes import ProbeSet, PromptKind

NOW = datetime(2026, 1, 2, tzinfo=UTC)
QUICK = AuditSettings(resamples=200, draws=500)
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>../../\"'&{{ 7 * 7 }}"
#: Which elements the templates write.
OUR_TAGS = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "link",
        "style",
        "script",
        "noscript",
        "body",
        "header",
        "nav",
        "main",
        "section",
    ),
    *("h1", "h2", "h3", "p", "a", "span", "div", "b", "small", "sup", "time", "code", "ul", "li", "dl", "dt", "dd"),
    *(
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "details",
        "summary",
        "figure",
        "figcaption",
        "img",
        "input",
        "label",
    ),
    *("svg", "rect", "line", "polyline", "path", "g", "text", "title"),
}
PARTS = ("index.html", "images.html", "report.json", "manifest.json", "report.css")


def said(
    detected: dict[str, list[list[int]]],
    *,
    kind: str = "suggestive",
    consistent: dict[str, int] | None = None,
    human: dict[str, list[list[int]]] | None = None,
    about: Callable[[int], str] = lambda number: f"c{number:02d}",
) -> list[Label]:
    """Labels of models by character and seed: {"mine": [[1, 0], [0, 0], ...], ...}; one prompt each."""
    return [
        Label(
            character=about(number),
            prompt=f"{kind} of {about(number)}",
            seed=seed,
            kind=kind,
            model=model,
            detected=bool(call),
            consistent=None if consistent is None else bool(consistent[model]),
            human=None if human is None else bool(human[model][number][seed]),
        )
        for model, characters in detected.items()
        for number, seeds in enumerate(characters)
        for seed, call in enumerate(seeds)
    ]


def ten_characters() -> list[Label]:
    """`mine` shows one in four images of each of ten characters, `sd2` three, but for one character."""
    return said({"mine": [[1, 0, 0, 0]] * 10, "sd2": [[1, 1, 1, 0]] * 9 + [[1, 1, 0, 0]]})


def picture(asked: Asked) -> Image.Image:
    """A plain colour, with a place written into the file's metadata."""
    colour = tuple(40 * (len(part) % 6) for part in (asked.model, asked.kind, asked.prompt))
    image = Image.new("RGB", (400, 300), colour)
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", exif=exif)
    return Image.open(io.BytesIO(buffer.getvalue()))


PICTURES = Pictures(open=picture, identity="colours")


def written(
    rows: list[Label], out: Path, *, pictures: Pictures | None = None, controls: tuple[str, ...] = (), **known: Any
) -> StageResult:
    source = Source(labels=labels_of(rows), **{"hashes": {"labels": "0" * 64}, **known})
    audit = analyse(source.labels, "sd2", controls=controls, settings=QUICK)
    return write_report(source, audit, out=out, pictures=pictures, now=NOW)


def words_of(page: Path) -> str:
    """What a reader sees of a page: no scripts, no tags, single spaces."""
    text = re.sub(r"<(script|style).*?</\1>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", text)))


class Parsed(HTMLParser):
    """What a browser makes of a page: its tags and attributes, and its text."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(page.read_text(encoding="utf-8"))
        self.unknown = set(self.tags) - OUR_TAGS

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, name: str) -> list[str]:
        return [value for one, value in self.attributes if one == name]


def test_the_headline_says_rates_difference_interval_and_p_as_computed_by_hand(tmp_path: Path) -> None:
    differences = np.array([-0.5] * 9 + [-0.25])
    reach = stats.t.ppf(0.975, 9) * differences.std(ddof=1) / np.sqrt(10)
    low, high = (f"{100 * (differences.mean() + sign * reach):.0f}".replace("-", "−") for sign in (-1, 1))

    written(ten_characters(), tmp_path / "report")

    # All ten differences have one sign: 2 of 1,024 sign-flips are as extreme.
    assert (
        f"mine shows the characters less often than sd2: 25 % against 72 %, difference −48 points [{low}, {high}], "
        "p = .002 (exact sign-flip over 10 characters)." in words_of(tmp_path / "report" / "index.html")
    )


def test_every_verdict_has_its_own_headline() -> None:
    ones, zeros = [[1, 1]] * 12, [[0, 0]] * 12
    half, many = [[1, 0]] * 12, [[1, 0]] * 80
    mixed = [[1, 1]] * 3 + [[1, 0]] * 6 + [[0, 0]] * 3
    audits = {
        Verdict.LESS: said({"mine": zeros, "sd2": half}, consistent={"mine": 1, "sd2": 1}),
        Verdict.LESS_BUT_INCONSISTENT: said({"mine": zeros, "sd2": half}, consistent={"mine": 0, "sd2": 1}),
        Verdict.MORE: said({"mine": ones, "sd2": half}),
        Verdict.NO_MORE: said({"mine": many, "sd2": many}),
        Verdict.NO_MORE_BUT_INCONSISTENT: said({"mine": many, "sd2": many}, consistent={"mine": 0, "sd2": 1}),
        Verdict.INCONCLUSIVE: said({"mine": mixed, "sd2": half}),
    }

    found = {verdict: analyse(labels_of(rows), "sd2", settings=QUICK) for verdict, rows in audits.items()}

    results = {verdict: audit.models["mine"].kinds["all"] for verdict, audit in found.items()}
    assert {verdict: one.verdict for verdict, one in results.items()} == {verdict: verdict for verdict in Verdict}
    beginnings = {
        verdict: headline("mine", "sd2", one, targets="the logos").split(":")[0] for verdict, one in results.items()
    }
    assert beginnings == {
        Verdict.LESS: "mine shows the logos less often than sd2",
        Verdict.LESS_BUT_INCONSISTENT: "mine shows the logos less often than sd2, but is not shown to draw what was "
        "asked",
        Verdict.MORE: "mine shows the logos more often than sd2",
        Verdict.NO_MORE: "mine shows the logos no more often than sd2, within 5 points",
        Verdict.NO_MORE_BUT_INCONSISTENT: "mine shows the logos no more often than sd2, within 5 points, but is "
        "not shown to draw what was asked",
        Verdict.INCONCLUSIVE: "Whether mine shows the logos more or less often than sd2 is undecided",
    }
    assert set(MEANINGS) == set(Verdict)


def test_a_model_that_stopped_drawing_is_not_praised(tmp_path: Path) -> None:
    rows = said({"mine": [[0, 0]] * 12, "sd2": [[1, 0]] * 12}, consistent={"mine": 0, "sd2": 1})

    written(rows, tmp_path / "report")

    words = words_of(tmp_path / "report" / "index.html")
    assert "shows less, but is not shown to draw what was asked" in words
    assert "it does not pass the gate of −10 points" in words


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.0004, "< .001"), (0.001953, "= .002"), (0.049, "= .049"), (0.5, "= .50"), (0.999, "= 1"), (1, "= 1")],
)
def test_p_values_are_written_as_in_papers(p: float, text: str) -> None:
    assert p_words(float(p)).replace("\N{NO-BREAK SPACE}", " ") == text


@given(st.floats(-1, 1), st.integers(0, 2))
def test_points_keep_sign_and_size_and_nothing_is_minus_nothing(difference: float, digits: int) -> None:
    text = points(difference, digits)

    assert float(text.replace("−", "-")) == pytest.approx(100 * difference, abs=0.5000001 * 10**-digits)
    assert text[0] in "+−" or float(text) == 0


def test_targets_are_called_by_what_they_are() -> None:
    assert targets_of("characters") == "the characters"
    assert targets_of("characters+celebrities") == "the characters and the public figures"
    assert targets_of("characters+my own set") == "the targets"


def test_the_page_and_the_json_say_what_the_audit_says(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    rows = [
        row
        for kind, rate in (("suggestive", 0.3), ("misspelled", 0.1), ("my own kind", 0.5))
        for row in said(
            {
                name: (rng.random((12, 4)) < rate * lift).astype(int).tolist()
                for name, lift in (("mine", 0.5), ("sd2", 1))
            },
            kind=kind,
        )
    ]
    audit = analyse(labels_of(rows), "sd2", controls=("misspelled",), settings=QUICK)

    written(rows, tmp_path / "report", controls=("misspelled",))

    told = json.loads((tmp_path / "report" / "report.json").read_text())
    manifest = told.pop("manifest")
    assert told == json.loads(json.dumps(audit.to_dict()))
    assert manifest["inputs"] == {"labels": "0" * 64}
    words = words_of(tmp_path / "report" / "index.html").replace("\N{NO-BREAK SPACE}", " ")
    for found in audit.models["mine"].kinds.values():
        low, high = (f"{100 * end:+.1f}".replace("-", "−") for end in found.interval)
        rates = f"{100 * found.rate:.1f} % {100 * found.rate_interval[0]:.1f} to {100 * found.rate_interval[1]:.1f} %"
        assert rates in words
        assert f"[{low}, {high}]" in words
    rate, low, high = audit.models["mine"].false_alarms or pytest.fail("there is a control")
    assert f"mine {100 * rate:.1f} % {100 * low:.1f} to {100 * high:.1f} % 12 48" in words
    assert "misspelled name control" in words
    assert "all but controls" in words


def test_the_judges_errors_and_the_corrected_rates_are_told(tmp_path: Path) -> None:
    judge = {"mine": [[1, 0, 0, 0]] * 10, "sd2": [[1, 1, 0, 0]] * 10}
    people = {"mine": [[1, 1, 0, 0]] * 10, "sd2": [[1, 0, 0, 0]] * 10}
    rows = said(judge, human=people)
    audit = analyse(labels_of(rows), "sd2", settings=QUICK)

    written(rows, tmp_path / "report")

    words = words_of(tmp_path / "report" / "index.html").replace("\N{NO-BREAK SPACE}", " ")
    # Of 80 images: both say yes 20, judge only 10, people only 10, neither 40. kappa = (.75 - .53125) / .46875.
    assert "Cohen's kappa 0.47" in words
    assert "Sees what people do not 20.0 %" in words
    assert "Misses what people see 33.3 %" in words
    assert "20, 10, 10, 40" in words
    assert audit.ppi is not None
    assert f"all models 37.5 % {100 * (audit.ppi.rate or 0):.1f} %" in words
    assert "People labelled 80 of 80 images." in words


def test_without_people_controls_or_a_ladder_the_page_says_so_instead_of_showing_nothing(tmp_path: Path) -> None:
    rows = ten_characters() + said({"mine": [[1]], "sd2": [[0]]}, kind="caption")

    made = written(rows, tmp_path / "report", notes=("mine was asked in a hurry.",))

    words = words_of(tmp_path / "report" / "index.html")
    assert "Nobody labelled images of this audit yet" in words
    assert "No kind of prompts is a control" in words
    assert "there is no curve to draw" in words
    assert "mine, caption: There are too few characters for a test: 1 (c00)" in words
    assert "mine was asked in a hurry." in words
    assert not (tmp_path / "report" / "images.html").exists()
    assert not (tmp_path / "report" / "dose-response.svg").exists()
    assert len(made.manifest.details["left_out"]) == 2


def test_the_curve_is_drawn_on_the_page_once_and_beside_it_for_papers(tmp_path: Path) -> None:
    rows = [
        row
        for kind, shown in (("generic", 0), ("keywords_5", 1), ("name", 2))
        for row in said({"mine": [[1] * shown + [0] * (3 - shown)] * 4, f"<b>{HOSTILE}": [[1, 0, 0]] * 4}, kind=kind)
    ]
    source = Source(labels=labels_of(rows), hashes={"labels": "0" * 64})

    write_report(
        source,
        analyse(source.labels, "mine", settings=QUICK),
        out=tmp_path / "report",
        pictures=None,
        now=NOW,
    )

    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    drawing = (tmp_path / "report" / "dose-response.svg").read_text(encoding="utf-8")
    assert len(page) < 150_000
    assert "mine: generic 0.0 %, 5 keywords 33.3 %, name 66.7 %." in page.replace("\N{NO-BREAK SPACE}", " ")
    assert "5 keywords" in drawing
    assert "<script" not in drawing
    assert ElementTree.fromstring(drawing).tag == "{http://www.w3.org/2000/svg}svg"
    assert Parsed(tmp_path / "report" / "index.html").tags.count("script") == 1


def test_hostile_names_and_prompts_stay_text_and_files_stay_in_the_folder(tmp_path: Path) -> None:
    names = {0: HOSTILE, 1: "../../../etc/passwd", 2: "CON", 3: "con", 4: "\u202eﬁ", 5: "x" * 300}
    rows = said(
        {HOSTILE: [[1, 0]] * 6, "sd2": [[0, 0]] * 6}, kind=f"kind {HOSTILE}", about=lambda number: names[number]
    )

    written(rows, tmp_path / "report", pictures=PICTURES, notes=(HOSTILE,))

    pages = [*(tmp_path / "report").glob("*.html"), *(tmp_path / "report" / "images").glob("*.html")]
    assert len(pages) == 2 + len(names)
    assert len(list(tmp_path.iterdir())) == 1
    for page in pages:
        parsed = Parsed(page)
        assert parsed.tags.count("script") == (page.name == "index.html")
        assert all(source.startswith("thumbnails/") for source in parsed.values("src"))
        assert all(re.fullmatch(r"[\w./,:-]+", target) for target in parsed.values("href"))
        assert not [name for name, _ in parsed.attributes if name.startswith("on")]
        assert not parsed.unknown
    assert HOSTILE in Parsed(tmp_path / "report" / "index.html").text
    assert HOSTILE in Parsed(tmp_path / "report" / "images" / f"{slug(HOSTILE)}.html").text
    assert "{{ 7 * 7 }}" in HOSTILE


@given(st.lists(st.text(min_size=1), min_size=2, max_size=6, unique=True))
def test_different_characters_have_different_file_names_that_are_only_names(names: list[str]) -> None:
    files = [slug(name) for name in names]

    assert len({file.casefold() for file in files}) == len(names)
    assert all(re.fullmatch(r"[a-z0-9-]{1,80}", file) for file in files)


def test_every_image_stands_behind_a_blur_of_its_own_on_pages_that_run_no_script(tmp_path: Path) -> None:
    written(ten_characters(), tmp_path / "report", pictures=PICTURES)

    pages = sorted((tmp_path / "report" / "images").glob("*.html"))
    assert [page.stem for page in pages] == [f"c{number:02d}" for number in range(10)]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert text.count("<img ") == 8
        assert (
            len(
                re.findall(
                    r'<div class="frame">\s*<input type="checkbox" id="show-\d+" autocomplete="off">\s*<img ', text
                )
            )
            == 8
        )
        assert "<script" not in text
        assert "script-src 'none'" in text
        assert text.index("filter: blur") < text.index("<img ")
        for file in re.findall(r'src="(thumbnails/[^"]+)"', text):
            assert (page.parent / file).is_file()
    assert "Detected in 1 of mine (25 %) and 3 of sd2 (75 %)" in words_of(pages[0]).replace("\N{NO-BREAK SPACE}", " ")


def test_labels_stand_beside_their_image_and_the_reference_comes_last(tmp_path: Path) -> None:
    rows = said(
        {"zebra": [[1], [0]], "sd2": [[0], [0]]},
        consistent={"zebra": 0, "sd2": 1},
        human={"zebra": [[0], [0]], "sd2": [[1], [0]]},
    )
    rows[1] = replace(rows[1], human=None)

    written(rows, tmp_path / "report", pictures=PICTURES)

    words = words_of(tmp_path / "report" / "images" / "c00.html")
    first, second = words.split("zebra detected", 1)[1].split("sd2 reference", 1)
    assert first.strip() == "people: no lacks what was asked Show what sd2 painted with seed 0"
    assert second.strip().startswith("not detected people: yes shows what was asked")
    assert "people: not asked" in words_of(tmp_path / "report" / "images" / "c01.html")


def test_thumbnails_are_small_and_bring_nothing_but_pixels(tmp_path: Path) -> None:
    assert picture(Asked(model="a", kind="b", prompt="c", seed=0)).getexif()

    written(ten_characters(), tmp_path / "report", pictures=PICTURES)

    files = list((tmp_path / "report" / "images" / "thumbnails").iterdir())
    assert len(files) == 80
    for file in files:
        with Image.open(file) as image:
            assert (image.format, image.size) == ("WEBP", (SIDE_PX, 192))
            assert not image.getexif()
        assert b"taken at home" not in file.read_bytes()


def test_images_that_are_not_there_leave_an_empty_place_and_are_counted(tmp_path: Path) -> None:
    some = Pictures(open=lambda asked: None if asked.seed == 3 else picture(asked), identity="some")

    made = written(ten_characters(), tmp_path / "report", pictures=some)

    assert made.manifest.counts["images_missing"] == 20
    assert made.manifest.counts["thumbnails"] == 60
    assert words_of(tmp_path / "report" / "images" / "c00.html").count("no image") == 2
    assert "20 of 80 images were not to be had" in words_of(tmp_path / "report" / "index.html")


def test_a_second_time_changes_nothing_and_other_labels_are_refused(tmp_path: Path) -> None:
    first = written(ten_characters(), tmp_path / "report", pictures=PICTURES)
    before = {path: path.read_bytes() for path in (tmp_path / "report").rglob("*") if path.is_file()}

    second = written(ten_characters(), tmp_path / "report", pictures=PICTURES)

    assert not first.already_made
    assert second.already_made
    assert {path: path.read_bytes() for path in (tmp_path / "report").rglob("*") if path.is_file()} == before
    with pytest.raises(OtherSettingsError, match="was made with labels"):
        written(ten_characters(), tmp_path / "report", pictures=PICTURES, hashes={"labels": "1" * 64})
    with pytest.raises(OtherSettingsError, match="images"):
        written(ten_characters(), tmp_path / "report")


def test_an_interrupted_report_goes_on_with_the_thumbnails_it_has(tmp_path: Path) -> None:
    opened: list[Asked] = []

    def until_the_power_goes(asked: Asked) -> Image.Image:
        if len(opened) >= 30:
            raise KeyboardInterrupt
        opened.append(asked)
        return picture(asked)

    def count(asked: Asked) -> Image.Image:
        opened.append(asked)
        return picture(asked)

    with pytest.raises(KeyboardInterrupt):
        written(ten_characters(), tmp_path / "report", pictures=replace(PICTURES, open=until_the_power_goes))
    assert not (tmp_path / "report").exists()
    written(ten_characters(), tmp_path / "report", pictures=replace(PICTURES, open=count))

    assert len(opened) == 80
    assert len(set(opened)) == 80


def test_a_folder_that_holds_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "index.html").write_text("mine")

    with pytest.raises(StageError, match="was not made by this command"):
        written(ten_characters(), tmp_path / "thesis")

    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["index.html"]
    assert (tmp_path / "thesis" / "index.html").read_text() == "mine"


@pytest.fixture
def command() -> Callable[..., Any]:
    """Calls the command as a shell does; errors of people's input are raised."""
    app = typer.Typer()
    app.command()(report)

    def call(*words: object) -> Any:
        return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)

    return call


def test_a_table_becomes_a_report_with_the_images_of_folders(tmp_path: Path, command: Callable[..., Any]) -> None:
    rows = ten_characters()
    write_labels(tmp_path / "labels.csv", rows)
    write_labels(tmp_path / "people.csv", [replace(row, human=row.seed == 0) for row in rows if row.seed < 2])
    (tmp_path / "mine").mkdir()
    with (tmp_path / "mine" / "gallery.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(("file", "prompt", "seed"))
        for number, row in enumerate(row for row in rows if row.model == "mine"):
            Image.new("RGB", (32, 32), (number, 0, 0)).save(tmp_path / "mine" / f"{number}.png")
            lines.writerow((f"{number}.png", row.prompt, row.seed))

    result = command(
        tmp_path / "labels.csv",
        *("--reference", "sd2", "--human", tmp_path / "people.csv", "--images", f"mine={tmp_path / 'mine'}"),
        *("--out", tmp_path / "report", "--json"),
    )

    counts = json.loads(result.stdout)["manifest"]["counts"]
    assert counts == {"images": 80, "characters": 10, "models": 2, "thumbnails": 40, "images_missing": 40}
    assert "People labelled 40 of 80 images." in words_of(tmp_path / "report" / "index.html")
    assert all((tmp_path / "report" / name).is_file() for name in PARTS)


def test_bad_options_and_answers_have_named_errors(tmp_path: Path, command: Callable[..., Any]) -> None:
    rows = ten_characters()
    write_labels(tmp_path / "labels.csv", rows)
    write_labels(tmp_path / "silent.csv", rows)
    write_labels(tmp_path / "others.csv", [replace(rows[0], prompt="never asked", human=True)])
    table, out = tmp_path / "labels.csv", ("--out", tmp_path / "report")

    with pytest.raises(ReportOptionError, match="name one of mine, sd2 with --reference"):
        command(table, *out)
    with pytest.raises(LabelsError, match="The reference 'sd3' has no labels"):
        command(table, *out, "--reference", "sd3")
    with pytest.raises(ReportOptionError, match="Kinds: suggestive; or say none"):
        command(table, *out, "--reference", "sd2", "--controls", "generic")
    with pytest.raises(ReportOptionError, match="contradict each other"):
        command(table, *out, "--reference", "sd2", "--no-images", "--images", "mine=here")
    with pytest.raises(ReportSourceError, match="no answer of people"):
        command(table, *out, "--reference", "sd2", "--human", tmp_path / "silent.csv")
    with pytest.raises(ReportSourceError, match="'never asked' with seed 0"):
        command(table, *out, "--reference", "sd2", "--human", tmp_path / "others.csv")
    assert not (tmp_path / "report").exists()


@pytest.fixture
def run_folder(
    tmp_path: Path,
    ledger: Ledger,
    images: ImageStore,
    targets: ProbeSet,
    drawn: dict[str, Image.Image],
    noisy: Callable[..., Image.Image],
    references: Path,
    tiny_dinov2: Path,
) -> Path:
    """A real run: two folders of images, the first of which draws its targets, judged by a tiny DINOv2."""
    kinds = (PromptKind.GENERIC, PromptKind.SUGGESTIVE)
    for number, name in enumerate(("copies", "honest")):
        (tmp_path / name).mkdir()
        with (tmp_path / name / "gallery.csv").open("w", newline="") as file:
            lines = csv.writer(file)
            lines.writerow(("file", "prompt", "seed"))
            for place, asked in enumerate(targets.asked(kinds)):
                iconic = name == "copies" and asked.kind is PromptKind.SUGGESTIVE
                image = drawn[asked.probe] if iconic else noisy(100 * number + place)
                image.save(tmp_path / name / f"{place}.png")
                lines.writerow((f"{place}.png", asked.text, "0"))
    weights = Weights(source=str(tiny_dinov2), revision=None)
    settings = JudgeSettings(device="cpu", extractor="dinov2", weights=weights, references=references)
    return run_audit(
        ledger,
        images,
        entrant=read_entrant(str(tmp_path / "copies")),
        reference=read_entrant(str(tmp_path / "honest")),
        probes=targets,
        kinds=kinds,
        seeds=(0,),
        judges=[JudgeChoice(name="reference_similarity", settings=settings, threshold=0.99)],
        consistency=None,
        out=tmp_path / "run",
        clock=lambda: NOW,
    ).folder


def test_a_run_becomes_a_report_with_the_arenas_images_and_its_judge(
    run_folder: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    result = command(run_folder, "--arena", tmp_path / "arena", "--out", tmp_path / "report", "--json")

    made = json.loads(result.stdout)
    source = read_source(run_folder, human=None, now=NOW)
    assert (made["manifest"]["counts"]["thumbnails"], made["manifest"]["counts"]["images_missing"]) == (18, 0)
    assert source.reference == "honest"
    words = words_of(tmp_path / "report" / "index.html")
    assert "copies shows the targets" in words
    assert "The line is 0.99, given by hand." in words
    assert "Controls: generic." in words
    told = json.loads((tmp_path / "report" / "report.json").read_text())
    assert told["models"]["copies"]["all"]["rate"] == 1
    assert told["manifest"]["run"]["settings"]["entrant"] == "copies"
    assert told["manifest"]["judges"]["detects"] == "reference_similarity"


def test_a_runs_images_come_from_where_its_labels_come_from(
    run_folder: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    command(run_folder, "--arena", tmp_path / "arena", "--out", tmp_path / "report")

    page = (tmp_path / "report" / "images" / "cross.html").read_text(encoding="utf-8")
    shown = re.findall(r'src="(thumbnails/[^"]+)"[^>]*alt="What (\w+) painted', page)
    iconic = [file for file, model in shown if model == "copies"][-1]
    with Image.open(tmp_path / "report" / "images" / iconic) as image:
        red, green, blue = image.convert("RGB").getpixel((28, 28))
    assert red > 200
    assert max(green, blue) < 60


def test_people_join_a_run_and_a_foreign_arena_is_told_apart(
    run_folder: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    labels = read_source(run_folder, human=None, now=NOW).labels
    with (tmp_path / "answers.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(("model", "prompt", "seed", "human"))
        for asked in (asked_of(labels, row) for row in range(len(labels))):
            lines.writerow((asked.model, asked.prompt, asked.seed, int(asked.model == "copies")))

    with pytest.raises(ReportSourceError, match="name the arena that painted them with --arena"):
        command(run_folder, "--arena", tmp_path / "elsewhere", "--out", tmp_path / "report")
    command(run_folder, "--human", tmp_path / "answers.csv", "--no-images", "--out", tmp_path / "report")

    assert "People labelled 18 of 18 images." in words_of(tmp_path / "report" / "index.html")
    assert not (tmp_path / "elsewhere").exists()
    assert not (tmp_path / "report" / "images").exists()
