"""Blindness, measured: one gallery under two names, and classifiers that look for which of the two stands left.

Every picture is drawn by one program, and chance says which of two names it goes under. The names then do what would
give them away elsewhere: their files have other formats, other metadata, other folders, and in a second gallery one of
them paints twice as large. All goes the real way: into the store, into a study, out of the real site over HTTP, as a
browser asks for it. Whatever arrives before a vote becomes numbers (sizes, containers, bytes, headers, tokens, order,
seconds), and three kinds of classifiers learn from some pairs and guess in others. They must guess no better than
chance; on the files as they were handed in, the same classifiers are nearly always right.

What follows from the pixels may differ between models, that is what raters look at: so the pixels here must not tell,
or nothing else could be seen. Lossy formats change pixels, and change the size of a lossless encoding with them.
Therefore both names' pictures have gone through a lossy codec once, as if downloaded; one name keeps those very files,
the other has them in lossless formats. The store keeps pixels as they are and adds no loss of its own, so nothing is to
be made alike there. And where one name paints larger, the other's pictures are the same drawings scaled down by the
filter that the arena uses: after its scaling both are one distribution.

Tokens and seconds are new in every run. So that chance alone fails no run, a classifier that leaves its interval (95 %
over all classifiers together) must do so again with two fresh galleries: one run in eight thousand.
"""

import contextlib
import io
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw, ImageFilter, PngImagePlugin
from scipy.optimize import minimize
from scipy.stats import binom

from arena.app import create_app
from arena.images import ImageStore
from arena.ledger.ledger import Ledger
from arena.ledger.records import Entrant
from arena.settings import Settings
from arena.study import Study
from arena.study_parts import Check, KnownPair
from prompts.prompt import Prompt, PromptSet

NAMES = ("aardvark-reference", "zebra-candidate", "yak-candidate")
RATERS, PAIRS_EACH = 4, 54
SHOWN_PX = 96
FOLDS = 6
HASH = re.compile(r"[0-9a-f]{64}")
FIRST_CODE = ord("-")

Files = dict[tuple[str, str], Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A running site, and what is behind it."""

    address: str
    home: Path
    ledger: Ledger
    images: ImageStore

    def take_in(self, prompts: PromptSet, files: Files) -> None:
        """Enter the names that are new, and store every file as the gallery of its name."""
        now = datetime.now(UTC)
        self.ledger.keep_prompts(prompts)
        there = {entrant.name for entrant in self.ledger.entrants()}
        for name in dict.fromkeys(name for name, _ in files):
            if name not in there:
                folder = files[name, prompts.prompts[0].text].parent
                self.ledger.enter(Entrant(name=name, source=f"folder:{folder}", sampler="image_folder"), now=now)
        for prompt in prompts:
            for name in dict.fromkeys(name for name, _ in files):
                with Image.open(files[name, prompt.text]) as image:
                    stored = self.images.put(image)
                self.ledger.keep_image(name, prompt.id, 0, stored, seconds=0.1, now=now)

    def open(self, study: str, prompts: PromptSet, **declared: Any) -> None:
        """Open a study over the first two names, or as declared."""
        values: dict[str, Any] = {"reference": NAMES[0], "candidates": NAMES[1:2], "votes_per_rater": PAIRS_EACH}
        values |= {"ties": True, "both_bad": True}
        asked = Study(name=study, question="Which fits better?", prompts=prompts, **(values | declared))
        self.ledger.open_study(asked, now=datetime.now(UTC))

    def visit(self) -> httpx.Client:
        """A browser's connection."""
        return httpx.Client(base_url=self.address, timeout=30)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    """A site of its own: without rate limits, and with results closed, as raters find it."""
    import uvicorn

    home = tmp_path_factory.mktemp("blind")
    settings = Settings(home=home, rate_limits=False, open_results=False)
    # With its protocol named, as `serve` takes it: asyncio then sends each answer at once, and seconds say something.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    config = uvicorn.Config(create_app(settings), log_level="warning", ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    assert server.started, "the site did not start within 60 s"
    with Ledger.open(settings.database_url) as ledger:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        yield Room(address=address, home=home, ledger=ledger, images=ImageStore(settings.images_url))
    server.should_exit = True
    thread.join(timeout=20)
    listener.close()


# One gallery, split by chance.


def drawn(rng: np.random.Generator, size: int) -> Image.Image:
    """A picture of discs and bars on a gradient, with some grain."""
    low, high = rng.integers(0, 256, (2, 3))
    slope = np.linspace(0, 1, size)[:, None, None] * np.ones((1, size, 1))
    grain = rng.normal(0, rng.uniform(0, 6), (size, size, 1))
    pixels = np.clip(low + (high - low) * slope + grain, 0, 255).astype(np.uint8)
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(1, 6))):
        (x, y), extent = rng.uniform(0, 0.7, 2) * size, rng.uniform(0.1, 0.4) * size
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape((x, y, x + extent, y + extent), fill=tuple(int(part) for part in rng.integers(0, 256, 3)))
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1)))


def prompts_for(gallery: str) -> PromptSet:
    """As many prompts as all raters together see."""
    texts = (f"thing {number} of {gallery}" for number in range(RATERS * PAIRS_EACH))
    return PromptSet(name=gallery, licence="CC0-1.0", source="made up", prompts=tuple(Prompt(text=t) for t in texts))


def split_by_format(folder: Path, prompts: PromptSet, seed: int) -> Files:
    """The first name keeps lossy files with EXIF, ICC and comments; the second has lossless ones, with none or text."""
    rng = np.random.default_rng(seed)
    files: Files = {}
    for number, prompt in enumerate(prompts):
        for name in NAMES[:2]:
            lossy = _lossy(drawn(rng, SHOWN_PX), rng)
            if name == NAMES[0]:
                path = folder / "Old Model (v1)" / "exports" / f"{prompt.id}{lossy.suffix}"
                written = lossy.bytes
            else:
                suffix = (".png", ".webp", ".tiff", ".bmp")[number % 4]
                path = folder / "z" / f"{number:05d}{suffix}"
                written = _lossless(lossy.bytes, suffix)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(written)
            files[name, prompt.text] = path
    return files


def split_by_size(folder: Path, prompts: PromptSet, seed: int) -> Files:
    """The second name paints twice as large; the first has such pictures scaled down by the arena's own filter."""
    rng = np.random.default_rng(seed)
    files: Files = {}
    for prompt in prompts:
        for name in NAMES[:2]:
            image = drawn(rng, 2 * SHOWN_PX)
            path = folder / name / f"{prompt.id}.{'tiff' if name == NAMES[0] else 'png'}"
            path.parent.mkdir(parents=True, exist_ok=True)
            if name == NAMES[0]:
                image = image.resize((SHOWN_PX, SHOWN_PX), Image.Resampling.LANCZOS)
            image.save(path)
            files[name, prompt.text] = path
    return files


@dataclass(frozen=True, slots=True)
class Lossy:
    bytes: bytes
    suffix: str


def _lossy(image: Image.Image, rng: np.random.Generator) -> Lossy:
    exif = Image.Exif()
    exif[0x0131], exif[0x013B] = "painted by aardvark 1.0", "somebody"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    buffer = io.BytesIO()
    if rng.random() < 0.6:
        image.save(buffer, format="JPEG", quality=90, exif=exif, icc_profile=profile, comment=b"aardvark")
        return Lossy(buffer.getvalue(), ".jpg")
    image.save(buffer, format="WEBP", quality=85, exif=exif, icc_profile=profile)
    return Lossy(buffer.getvalue(), ".webp")


def _lossless(lossy: bytes, suffix: str) -> bytes:
    with Image.open(io.BytesIO(lossy)) as opened:
        image = Image.fromarray(np.asarray(opened.convert("RGB")))
    notes = PngImagePlugin.PngInfo()
    notes.add_text("parameters", "painted by zebra, steps 50")
    buffer = io.BytesIO()
    options: dict[str, dict[str, Any]] = {".png": {"pnginfo": notes}, ".webp": {"lossless": True}}
    image.save(buffer, format=Image.registered_extensions()[suffix], **options.get(suffix, {}))
    return buffer.getvalue()


# What a browser receives, as numbers.


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One image as it arrived: its address, its answer, and how many seconds that took."""

    url: str
    headers: list[tuple[str, str]]
    body: bytes
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One pair before its vote. `first_left` is the truth, which the browser does not get."""

    pair: str
    left: Side
    right: Side
    bringing: str
    bringing_s: float
    place: int
    left_asked_first: bool
    first_left: bool


def rate_all(room: Room, study: str, rng: np.random.Generator) -> list[Received]:
    """Let raters come one after the other, look at every pair and vote; what they received."""
    found: list[Received] = []
    for _ in range(RATERS):
        with room.visit() as http:
            found += _rate(http, study, rng)
    votes = {vote.prompt: vote.left for vote in room.ledger.votes(study, raters="people")}
    assert len(found) == len(votes) == RATERS * PAIRS_EACH
    asked = {prompt.text: prompt.id for prompt in room.ledger.study(study).study.prompts}
    lefts = {text: votes.get(text, votes.get(id)) for text, id in asked.items()}
    return [replace(one, first_left=lefts[_prompt_in(one)] == NAMES[0]) for one in found]


def _prompt_in(received: Received) -> str:
    return str(next(p["prompt"] for p in _pairs_of(json.loads(received.bringing)) if p["pair"] == received.pair))


def _pairs_of(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return answer["pairs"] if "pairs" in answer else [answer["next"]] if answer["next"] else []


def _rate(http: httpx.Client, study: str, rng: np.random.Generator) -> Iterator[Received]:
    started = time.perf_counter()
    answer = http.post("/rate/api/join", json={"study": study})
    waiting = [(pair, answer.text, time.perf_counter() - started) for pair in _pairs_of(answer.json())]
    place = 0
    while waiting:
        pair, bringing, bringing_s = waiting.pop(0)
        left_first = bool(rng.random() < 0.5)
        sides = {side: _fetch(http, pair[side]) for side in (("left", "right") if left_first else ("right", "left"))}
        yield Received(
            pair=pair["pair"],
            left=sides["left"],
            right=sides["right"],
            bringing=bringing,
            bringing_s=bringing_s,
            place=place,
            left_asked_first=left_first,
            first_left=False,
        )
        place += 1
        body = {"study": study, "pair": pair["pair"], "round": pair["round"], "key": str(uuid4()), "latency_ms": 900}
        started = time.perf_counter()
        answer = http.post("/rate/api/vote", json=body | {"choices": {"overall": "left"}})
        assert answer.status_code == 200, answer.text
        waiting += [(one, answer.text, time.perf_counter() - started) for one in _pairs_of(answer.json())]


def _fetch(http: httpx.Client, url: str) -> Side:
    started = time.perf_counter()
    answer = http.get(url)
    seconds = time.perf_counter() - started
    assert answer.status_code == 200
    return Side(url=url, headers=list(answer.headers.multi_items()), body=answer.content, seconds=seconds)


def features(pairs: Sequence[Received]) -> dict[str, np.ndarray]:
    """What was received, in groups: one row of numbers per pair; sides as their difference, left less right."""
    groups: dict[str, Callable[[Side], list[float]]] = {
        "size": lambda side: [len(side.body), np.log(len(side.body)), len(side.body) % 2, len(side.body) % 16],
        "container": lambda side: container_of(side.body),
        "bytes": lambda side: histogram_of(side.body),
        "headers": lambda side: [
            len(side.headers),
            *(
                sum(map(ord, f"{name}{value}"))
                for name, value in side.headers
                if name not in ("date", "content-length")
            ),
        ],
        "address": lambda side: token_numbers(side.url),
        "seconds": lambda side: [side.seconds, np.log(side.seconds)],
    }
    found = {
        name: np.array([np.subtract(numbers(pair.left), numbers(pair.right)) for pair in pairs])
        for name, numbers in groups.items()
    }
    found["pair"] = np.array(
        [
            [
                pair.place,
                pair.place % 2,
                pair.bringing_s,
                len(pair.bringing),
                pair.left.url < pair.right.url,
                pair.bringing.find('"left"') < pair.bringing.find('"right"'),
                pair.left.seconds + pair.right.seconds,
                *token_numbers(pair.pair),
            ]
            for pair in pairs
        ],
        dtype=float,
    )
    both = [np.array([[pair.left_asked_first, pair.left_asked_first] for pair in pairs], dtype=float)]
    found["seconds"] = np.hstack([found["seconds"], *both])
    return found | {"all": np.hstack(list(found.values()))}


def histogram_of(body: bytes) -> list[float]:
    """How often each byte value comes, by length, and the entropy in bits."""
    counts = np.bincount(np.frombuffer(body, np.uint8), minlength=256) / len(body)
    seen = counts[counts > 0]
    return [*counts, float(-(seen * np.log2(seen)).sum())]


def container_of(body: bytes) -> list[float]:
    """The RIFF chunks and their order, the first bytes of the file, and the decoded size."""
    kinds, at = [], 12
    while body[:4] == b"RIFF" and at + 8 <= len(body):
        kind, length = struct.unpack("<4sI", body[at : at + 8])
        kinds.append(int.from_bytes(kind, "big"))
        at += 8 + length + length % 2
    with Image.open(io.BytesIO(body)) as image:
        seen = [image.width, image.height, len(image.getbands()), len(image.info), bool(image.getexif())]
    head = [*body[:4], *body[8:16], *body[20:26]]
    return [len(kinds), float(sum(kinds)), at - len(body), body.count(b"EXIF"), body.count(b"ICCP"), *seen, *head]


def token_numbers(text: str) -> list[float]:
    """A token's length and alphabet, and the code at each of its places."""
    token = text.rpartition("/")[2].partition(".")[0]
    kinds = [sum(map(test, token)) for test in (str.isupper, str.islower, str.isdigit)]
    return [len(token), *kinds, *(float(ord(mark) - FIRST_CODE) for mark in token.ljust(24, "-")[:24])]


# Classifiers, each judged on pairs that it has not learned from.

Guess = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def logistic(rows: np.ndarray, truth: np.ndarray, unseen: np.ndarray) -> np.ndarray:
    """Logistic regression with a ridge."""
    signs = np.where(truth, 1.0, -1.0)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margins = signs * (rows @ weights[1:] + weights[0])
        slopes = -signs / (1 + np.exp(np.clip(margins, -30, 30)))
        ridge = np.concatenate([[0.0], weights[1:]])
        value = np.logaddexp(0, -margins).sum() + ridge @ ridge / 2
        return value, np.concatenate([[slopes.sum()], slopes @ rows]) + ridge

    weights = minimize(loss, np.zeros(rows.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 60}).x
    return np.asarray(unseen @ weights[1:] + weights[0] > 0)


def neighbours(rows: np.ndarray, truth: np.ndarray, unseen: np.ndarray) -> np.ndarray:
    """What most of the five nearest pairs were."""
    distances = ((unseen[:, None, :] - rows[None, :, :]) ** 2).sum(axis=2)
    return np.asarray(truth[np.argsort(distances, axis=1)[:, :5]].mean(axis=1) > 0.5)


def stump(rows: np.ndarray, truth: np.ndarray, unseen: np.ndarray) -> np.ndarray:
    """One threshold in the one feature where it serves best."""
    order = np.argsort(rows, axis=0, kind="stable")
    ordered, lefts = np.take_along_axis(rows, order, 0), truth[order]
    below = np.cumsum(lefts, axis=0)[:-1]
    counts = np.arange(1, len(rows))[:, None]
    # How many are right when what lies above the cut is called left; a cut between equal values is none.
    right = (counts - below) + (truth.sum() - below)
    right = np.where(ordered[1:] > ordered[:-1], right, len(rows) / 2)
    gain = np.abs(right - len(rows) / 2)
    cut, feature = np.unravel_index(int(np.argmax(gain)), gain.shape)
    threshold = (ordered[cut, feature] + ordered[cut + 1, feature]) / 2
    above = np.asarray(unseen[:, feature] > threshold)
    return above if right[cut, feature] >= len(rows) / 2 else ~above


CLASSIFIERS: dict[str, Guess] = {"logistic": logistic, "neighbours": neighbours, "stump": stump}


def right_guesses(rows: np.ndarray, truth: np.ndarray, guess: Guess) -> int:
    """How many pairs are told right, each by what was learned from the other folds."""
    folds = np.random.default_rng(3).permutation(len(rows)) % FOLDS
    right = 0
    for fold in range(FOLDS):
        held = folds == fold
        middle, spread = rows[~held].mean(axis=0), rows[~held].std(axis=0)
        scaled = (rows - middle) / np.where(spread > 0, spread, 1)
        right += int((guess(scaled[~held], truth[~held], scaled[held]) == truth[held]).sum())
    return right


def suspects(pairs: Sequence[Received]) -> dict[str, float]:
    """The classifiers that beat chance beyond the interval that holds for all of them together, and their accuracy."""
    truth = np.array([pair.first_left for pair in pairs])
    # Calling every pair by the commoner side is no knowledge.
    chance = max(truth.mean(), 1 - truth.mean())
    found = features(pairs)
    trials = len(found) * len(CLASSIFIERS)
    most = binom.ppf(1 - 0.05 / trials, len(truth), chance)
    counts = {
        f"{kind} on {group}": right_guesses(rows, truth, guess)
        for group, rows in found.items()
        for kind, guess in CLASSIFIERS.items()
    }
    return {name: count / len(truth) for name, count in counts.items() if count > most}


Split = Callable[[Path, PromptSet, int], Files]


@pytest.fixture(scope="module")
def a_run(room: Room, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Split, int], list[Received]]:
    """A gallery, entered, opened and rated: what raters received. Asked for again, it is the same one."""
    folder = tmp_path_factory.mktemp("galleries")
    known: dict[str, list[Received]] = {}

    def run(split: Split, seed: int) -> list[Received]:
        gallery = f"{split.__name__.replace('_', '-')}-{seed}"
        if gallery not in known:
            prompts = prompts_for(gallery)
            room.take_in(prompts, split(folder / gallery, prompts, seed))
            room.open(gallery, prompts)
            known[gallery] = rate_all(room, gallery, np.random.default_rng(seed))
        return known[gallery]

    return run


@pytest.mark.parametrize("split", [split_by_format, split_by_size])
def test_no_classifier_tells_which_entrant_stands_left(a_run: Any, split: Split) -> None:
    seen: list[dict[str, float]] = []

    for seed in (11, 12, 13):
        seen.append(suspects(a_run(split, seed)))
        if not set.intersection(*map(set, seen)):
            break

    again = set.intersection(*map(set, seen))
    assert not again, {name: [run[name] for run in seen] for name in sorted(again)}


def test_the_same_classifiers_tell_the_files_apart_as_they_were_handed_in(tmp_path: Path) -> None:
    prompts = prompts_for("handed-in")
    files = split_by_format(tmp_path, prompts, 5)
    rng = np.random.default_rng(6)

    def as_handed_in(number: int, prompt: Prompt) -> Received:
        first_left = bool(rng.random() < 0.5)
        bodies = [files[name, prompt.text].read_bytes() for name in NAMES[:2]]
        sides = [Side(url="/x", headers=[], body=body, seconds=0.01) for body in bodies]
        left, right = sides if first_left else sides[::-1]
        given: dict[str, Any] = {
            "pair": "x",
            "bringing": "",
            "bringing_s": 0.1,
            "place": number,
            "left_asked_first": True,
        }
        return Received(left=left, right=right, first_left=first_left, **given)

    found = suspects([as_handed_in(number, prompt) for number, prompt in enumerate(prompts)])

    assert found["logistic on container"] > 0.95
    assert found["neighbours on bytes"] > 0.9
    assert found["stump on size"] > 0.9


def test_a_picture_that_must_be_scaled_comes_no_later_than_the_other(a_run: Any) -> None:
    """An image is scaled when it is first looked at: by far the longest that any response takes."""
    pairs = a_run(split_by_size, 11)

    first_of_two: dict[bool, list[float]] = {True: [], False: []}
    for pair in pairs:
        sides = (pair.left, pair.right) if pair.left_asked_first else (pair.right, pair.left)
        first_is_reference = pair.first_left == pair.left_asked_first
        first_of_two[first_is_reference].append(sides[0].seconds)
    smaller, larger = (np.median(first_of_two[which]) for which in (True, False))

    assert larger / smaller < 1.3, f"{larger * 1000:.1f} ms where it is scaled, {smaller * 1000:.1f} ms where it is not"


def test_the_size_of_a_pair_does_not_tell_who_meets_in_it(room: Room, tmp_path: Path) -> None:
    prompts = PromptSet(
        name="three-sizes",
        licence="CC0-1.0",
        source="made up",
        prompts=tuple(Prompt(text=f"one of three, {number}") for number in range(4)),
    )
    rng, files = np.random.default_rng(8), {}
    for name, size in zip(NAMES, (48, 32, 64), strict=True):
        for prompt in prompts:
            files[name, prompt.text] = tmp_path / f"{name} {prompt.id}.png"
            drawn(rng, size).save(files[name, prompt.text])
    room.take_in(prompts, files)
    room.open("three-sizes", prompts, candidates=NAMES[1:], links=(NAMES[1:],), votes_per_rater=12)

    with room.visit() as http:
        sizes = {_size_of(side.body) for pair in _rate(http, "three-sizes", rng) for side in (pair.left, pair.right)}

    assert sizes == {(32, 32)}


def _size_of(body: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(body)) as image:
        size: tuple[int, int] = image.size
        return size


# What no answer may hold.


@pytest.fixture
def staged(room: Room, tmp_path: Path) -> Any:
    """A study with consent, practice and a check; its name and everything that no browser may read."""
    name = f"staged-{uuid4().hex[:6]}"
    prompts = PromptSet(
        name=name,
        licence="CC0-1.0",
        source="made up",
        prompts=tuple(Prompt(text=f"a step of {name}, {number}") for number in range(3)),
    )
    rng, files = np.random.default_rng(9), {}
    for entrant in NAMES[:2]:
        for number, prompt in enumerate(prompts):
            files[entrant, prompt.text] = tmp_path / entrant / f"{number}.png"
            files[entrant, prompt.text].parent.mkdir(exist_ok=True)
            drawn(rng, 40).save(files[entrant, prompt.text])
    room.take_in(prompts, files)
    known = KnownPair(prompt=prompts.prompts[0].text, better=NAMES[0], worse=NAMES[1], feedback="The first is calmer.")
    room.open(
        name,
        prompts,
        consent="You may stop at any time.",
        instructions="Look at both.",
        practice=(known,),
        checks=(Check(text="What counts?", answers=("The prompt", "The images"), right=1),),
        votes_per_rater=3,
    )
    images = {image.image_hash for entrant in NAMES[:2] for image in room.ledger.gallery(entrant, prompts, (0,))}
    secret = {*NAMES, *images, str(room.home), str(tmp_path), "image_folder", "site-packages"}
    return name, prompts, secret


def test_on_the_whole_way_to_a_vote_no_answer_names_an_entrant_a_hash_or_a_path(room: Room, staged: Any) -> None:
    study, _, secret = staged

    answers = _walk(room, study)

    assert [answer.status_code for answer in answers] == [200] * len(answers)
    assert len(answers) > 12
    for answer in answers:
        seen = f"{answer.url} {answer.headers.multi_items()} {answer.content.decode('latin-1')}"
        assert not [one for one in secret if one in seen], answer.url
        if "json" in answer.headers["content-type"]:
            assert not HASH.search(seen), answer.url


def test_the_json_before_a_vote_holds_tokens_the_studys_own_words_and_nothing_else(room: Room, staged: Any) -> None:
    study, prompts, _ = staged
    declared = room.ledger.study(study).study
    words = {study, declared.shown_title, declared.consent, declared.instructions, "", *(p.text for p in prompts)}
    words |= {"overall", declared.question, "What counts?", "The prompt", "The images", "The first is calmer."}
    words |= {"consent", "practice", "check", "rating"}
    # Which image of a practice pair was the better one: told after the answer.
    words |= {"left", "right"}

    texts: set[str] = set()
    numbers: set[Any] = set()
    for answer in _walk(room, study):
        if "json" in answer.headers["content-type"] and "/rate/api/" in str(answer.url):
            for leaf in _leaves(answer.json()):
                (texts if isinstance(leaf, str) else numbers).add(leaf)

    tokens = texts - words
    assert tokens
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{22}|/rate/image/[A-Za-z0-9_-]{22}\.(left|right)", one) for one in tokens)
    # Counts of votes and tries, the guard, the pause, rounds; and yes and no.
    assert numbers <= {None, True, False, 2, 3, 300}


def _walk(room: Room, study: str) -> list[httpx.Response]:
    """Everything that a browser asks for until it votes for the first time."""
    answers: list[httpx.Response] = []
    with room.visit() as http:

        def get(path: str) -> httpx.Response:
            answers.append(http.get(path))
            return answers[-1]

        def post(name: str, **body: Any) -> Any:
            answers.append(http.post(f"/rate/api/{name}", json={"study": study} | body))
            return answers[-1].json()

        shell = get(f"/rate/?study={study}").text
        inside = set(re.findall(r"""(?:src|href)=["']((?:\.|/)[^"']+)["']""", shell))
        for path in sorted(inside | {"/", "/favicon.ico", "/manifest.json", "/assets/rate.css", "/rate/theme.css"}):
            get(str(httpx.URL("/rate/").join(path)))
        post("join")
        stage = post("consent")
        for pair in stage["practice"]:
            for side in ("left", "right"):
                get(pair[side])
            stage = post("practice", pair=pair["pair"], choices={"overall": "left"})["join"]
        stage = post("check", answers=[1])["join"]
        for pair in stage["pairs"]:
            for side in ("left", "right"):
                get(pair[side])
    return answers


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield value


@pytest.mark.browser
def test_nothing_that_a_real_browser_loads_before_a_vote_tells_who_painted(
    room: Room, staged: Any, tmp_path: Path, visit: Any
) -> None:
    study, _, secret = staged
    plain = f"{study}-plain"
    room.open(plain, room.ledger.study(study).study.prompts, votes_per_rater=3)

    found = visit(f"{room.address}/rate/?study={plain}")
    found.page.wait_for_selector(".rate[data-phase=voting]")

    images = [one for one in found.responses if "/rate/image/" in one.url]
    assert len(images) >= 4
    for response in found.responses:
        with contextlib.suppress(Exception):
            seen = f"{response.url} {response.all_headers()} {response.body().decode('latin-1')}"
            assert not [one for one in secret if one in seen], response.url
    shown = f"{found.page.content()} {found.page.evaluate('JSON.stringify(Object.entries(localStorage))')}"
    assert not [one for one in secret if one in shown]
