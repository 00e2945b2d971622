"""What several rooms' tests share: a running site over a small real arena, and headless Chromium to open it in.

Everything is imported when it is used, so that a test of a light room does not wait for a heavy one.
"""

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

# A busy machine makes a quick property slow now and then, which says nothing about the property. The same examples
# every time: what fails fails for everyone. `pytest --hypothesis-profile=explore` looks for new ones.
settings.register_profile("explore", deadline=None)
settings.register_profile("canvas", deadline=None, derandomize=True)
settings.load_profile("canvas")

# Networks in tests are tiny: more threads than one would wait for each other longer than they work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Playwright, Response

    from arena.images import ImageStore
    from arena.ledger.ledger import Ledger
    from arena.rating import RatingRoom
    from prompts.prompt import PromptSet

#: Names that would be found at once if they leaked into what a rater's browser receives.
ENTRANTS = ("aardvark-reference", "zebra-candidate", "yak-candidate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A running arena: its address, and the ledger, images and rating room behind it, opened a second time."""

    address: str
    home: Path
    ledger: "Ledger"
    images: "ImageStore"
    room: "RatingRoom"

    def open_study(self, name: str, *, prompts: "PromptSet | int" = 4, size_px: int = 32, **declared: Any) -> str:
        """Paint what is missing, open a study of that name over ENTRANTS, and return the name."""
        from arena.study import Study

        asked = things(prompts) if isinstance(prompts, int) else prompts
        now = datetime.now(UTC)
        self.ledger.keep_prompts(asked)
        for entrant in ENTRANTS:
            for wanted in self.ledger.missing_images(entrant, asked, (0,)):
                stored = self.images.put(paint(entrant, wanted.prompt.text, size_px))
                self.ledger.keep_image(entrant, wanted.prompt.id, wanted.seed, stored, seconds=0.1, now=now)
        values: dict[str, Any] = {
            "title": name.replace("-", " ").capitalize(),
            "question": "Which image do you prefer for this prompt?",
            "reference": ENTRANTS[0],
            "candidates": ENTRANTS[1:],
            "ties": True,
            "both_bad": True,
            "votes_per_rater": 5,
        }
        self.ledger.open_study(Study(name=name, prompts=asked, **(values | declared)), now=now)
        return name


def things(count: int) -> "PromptSet":
    """`count` made-up prompts."""
    from prompts.prompt import Prompt, PromptSet

    return PromptSet(
        name=f"things-{count}",
        licence="CC0-1.0",
        source="made up",
        prompts=tuple(Prompt(text=f"thing number {number} on a plain table") for number in range(count)),
    )


def paint(entrant: str, prompt: str, size_px: int) -> Any:
    """A picture of a square and a disc in colours that follow from the names."""
    import hashlib

    from PIL import Image, ImageDraw

    digest = hashlib.sha256(f"{entrant}/{prompt}".encode()).digest()
    image = Image.new("RGB", (size_px, size_px), tuple(180 + part // 4 for part in digest[:3]))
    draw = ImageDraw.Draw(image)
    box = [size_px // 4, size_px // 5, 3 * size_px // 4, 7 * size_px // 10]
    (draw.ellipse if digest[6] % 2 else draw.rectangle)(box, fill=tuple(part // 2 for part in digest[3:6]))
    return image


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One site for the whole run, served by the same server as `canvas arena serve`; each test opens its own study."""
    import uvicorn

    from arena.app import create_app
    from arena.images import ImageStore
    from arena.ledger.ledger import Ledger
    from arena.ledger.records import Entrant
    from arena.rating import RatingRoom
    from arena.settings import Settings

    home = tmp_path_factory.mktemp("site")
    # A whole suite comes from one address.
    settings = Settings(home=home, rate_limits=False)
    images = ImageStore(settings.images_url)
    with Ledger.open(settings.database_url) as ledger:
        for name in ENTRANTS:
            ledger.enter(Entrant(name=name, source=f"swatch:{name}", sampler="swatch"), now=datetime.now(UTC))
        # With the protocol named, asyncio turns Nagle off: 2 ms an answer instead of 44.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        server = uvicorn.Server(
            uvicorn.Config(create_app(settings), log_level="warning", ws="none", timeout_graceful_shutdown=1)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 60
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.05)
        assert server.started, "the site did not start within 60 s"
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        yield Site(address=address, home=home, ledger=ledger, images=images, room=RatingRoom(ledger, images))
        server.should_exit = True
        thread.join(timeout=20)
        listener.close()


@dataclass(slots=True, kw_only=True)
class Visit:
    """One browser window with what happened in it: console errors, the hosts asked, every response."""

    page: "Page"
    errors: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    responses: list["Response"] = field(default_factory=list)


@pytest.fixture(scope="module")
def chromium() -> Iterator["Browser"]:
    """Headless Chromium. Per module: while it runs, no other test could start an event loop of its own."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Playwright itself turns off sandbox, updates, sync and whatever else would ask other hosts.
        browser = playwright.chromium.launch(executable_path=find_chromium(playwright), args=["--disable-gpu"])
        yield browser
        browser.close()


def find_chromium(playwright: "Playwright") -> str:
    """$CHROMIUM, chromium, google-chrome or playwright's own; the test is skipped, and says so, where there is none."""
    named = os.environ.get("CHROMIUM")
    found = named or shutil.which("chromium") or shutil.which("google-chrome")
    if found is None and Path(playwright.chromium.executable_path).exists():
        found = playwright.chromium.executable_path
    if found is None:
        pytest.skip("no Chromium: install the package chromium, or set CHROMIUM to its program")
    return found


@pytest.fixture
def visit(chromium: "Browser") -> Iterator[Callable[..., Visit]]:
    """Opens windows: `visit(address)`, with `width`, `height` and whatever else a browser context takes."""
    opened = []

    def open_window(address: str, *, width: int = 1280, height: int = 900, **context: Any) -> Visit:
        window = chromium.new_context(viewport={"width": width, "height": height}, **context)
        opened.append(window)
        found = Visit(page=window.new_page())
        found.page.set_default_timeout(30_000)
        found.page.on("pageerror", lambda error: found.errors.append(str(error)))
        found.page.on("console", lambda message: found.errors.append(message.text) if message.type == "error" else None)
        found.page.on("request", lambda request: found.hosts.add(request.url.split("/")[2]))
        # Playwright marks what it is given, and cannot mark a list's own method.
        found.page.on("response", lambda response: found.responses.append(response))  # noqa: PLW0108
        found.page.goto(address)
        return found

    yield open_window
    for window in opened:
        window.close()
