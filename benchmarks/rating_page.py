"""The rating page, measured: from a click on a choice to the next pair on the screen, in headless Chromium.

Usage: python benchmarks/rating_page.py [--clicks 30] [--image-px 512] [--json]. A site over painted textures is served
from a temporary folder by `canvas arena serve`; in each setting a new rater votes by real clicks, 600 ms apart, which
is as fast as anyone sensibly judges. Measured inside the page: from the click event's own time stamp to the second
animation frame after both images were exchanged. By then the frame that shows them has been handed to the screen.
"""

import argparse
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
# A script's folder comes first among the places that are searched, and statistics.py lies in it.
sys.path[:] = [str(ROOT), *(place for place in sys.path if place != str(Path(__file__).resolve().parent))]

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CANVAS = Path(sys.executable).with_name("canvas")
STUDY = "textures"
ENTRANTS = ("reference", "first-candidate", "second-candidate")
TARGET_MS = 60
PACE_MS = 600
#: The page takes no choice in the first 300 ms of a pair; a click then is one that a rater would have to repeat.
GUARD_MS = 320
#: Votes that wait at the end, so that every measured vote is followed by a pair and loads another one.
SPARE_PAIRS = 4

# The observer is told in the task that exchanged the images, before that frame is drawn: the first animation frame that
# it asks for begins after the drawing, the second one a whole frame later.
STOPWATCH = """() => {
  performance.clearResourceTimings();
  const seen = (window.seen = []);
  let click = null;
  const shown = () => [...document.querySelectorAll(".pair img")].map((image) => image.src).join(" ");
  let before = shown();
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-choice]")) click = event.timeStamp;
  }, true);
  new MutationObserver(() => {
    const now = shown();
    const images = [...document.querySelectorAll(".pair img")];
    if (click === null || now === before || images.length !== 2) return;
    const swapped = performance.now() - click;
    const whole = images.every((image) => image.complete && image.naturalWidth > 1);
    const from = click;
    before = now;
    click = null;
    requestAnimationFrame(() => requestAnimationFrame(() => {
      seen.push({ swapped, visible: performance.now() - from, whole });
    }));
  }).observe(document.querySelector(".pair"), { childList: true });
}"""


#: How long each image took to load, which shows that a slow connection is one.
LOADING = """() => performance.getEntriesByType("resource")
  .filter((entry) => entry.name.includes("/rate/image/"))
  .map((entry) => entry.duration)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A rater's connection and device; `target_ms` is None where a setting is measured for information."""

    name: str
    target_ms: int | None = TARGET_MS
    megabits: float | None = None
    latency_ms: float = 0
    cpu_slowdown: float = 1
    window: dict[str, Any] = field(default_factory=lambda: {"viewport": {"width": 1280, "height": 900}})


PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 3, "is_mobile": True, "has_touch": True}
SETTINGS = (
    Setting(name="local"),
    Setting(name="20 Mbps, 40 ms", megabits=20, latency_ms=40),
    Setting(name="phone, CPU / 4", target_ms=None, cpu_slowdown=4, window=PHONE),
)


def measure(*, clicks: int, image_px: int, home: Path) -> dict[str, Any]:
    """All settings, one after the other, over one site in `home`."""
    from playwright.sync_api import sync_playwright

    load = [os.getloadavg()[0]]
    sizes = make_arena(home, clicks=clicks, image_px=image_px)
    with serving(home) as address, sync_playwright() as playwright:
        program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=program, args=["--disable-gpu"])
        found = []
        for setting in SETTINGS:
            found.append(rate(browser, address, setting, clicks=clicks))
            load.append(os.getloadavg()[0])
        version = browser.version
        browser.close()
    return {
        "settings": found,
        "clicks": clicks,
        "image_px": image_px,
        "image_kib": {"median": kib(float(np.median(sizes))), "min": kib(min(sizes)), "max": kib(max(sizes))},
        "load": [round(value, 2) for value in load],
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, "
        f"Chromium {version}",
    }


# ---- the site ----------------------------------------------------------------------------------------------------


def make_arena(home: Path, *, clicks: int, image_px: int) -> list[int]:
    """Open a study with as many comparisons as one rater needs, every image its own; the images' sizes in bytes."""
    from arena.images import ImageStore
    from arena.ledger.ledger import Ledger
    from arena.ledger.records import Entrant
    from arena.study import Study
    from prompts.prompt import Prompt, PromptSet

    needed = clicks + SPARE_PAIRS
    asked = PromptSet(
        name=STUDY,
        licence="CC0-1.0",
        source="made up",
        prompts=tuple(Prompt(text=f"a surface like no other, number {number}") for number in range(-(-needed // 2))),
    )
    images, rng, now, sizes = ImageStore(str(home / "images")), np.random.default_rng(1), datetime.now(UTC), []
    with Ledger.open(home / "ledger.db") as ledger:
        ledger.keep_prompts(asked)
        for name in ENTRANTS:
            ledger.enter(Entrant(name=name, source=f"textures:{name}", sampler="textures"), now=now)
            for prompt in asked:
                stored = images.put(texture(rng, image_px))
                ledger.keep_image(name, prompt.id, 0, stored, seconds=0.1, now=now)
                sizes.append(stored.bytes)
        study = Study(
            name=STUDY,
            title="Textures",
            question="Which image do you prefer for this prompt?",
            reference=ENTRANTS[0],
            candidates=ENTRANTS[1:],
            prompts=asked,
            ties=True,
            both_bad=True,
            votes_per_rater=needed,
        )
        ledger.open_study(study, now=now)
    return sizes


def texture(rng: np.random.Generator, image_px: int) -> Image.Image:
    """Noise with the spectrum of a photograph, amplitude falling as 1 / frequency ** 1.6, and slower colours.

    A photograph's amplitude falls as about 1 / frequency (Field 1987, doi:10.1364/JOSAA.4.002379); a steeper fall gives
    the file sizes of painted images, without the grain of a camera.
    """
    light = 45 * _noise(rng, image_px, 1.6)
    colours = [128 + light + 25 * _noise(rng, image_px, 2.5) for _ in range(3)]
    return Image.fromarray(np.clip(np.stack(colours, axis=-1), 0, 255).astype(np.uint8))


def _noise(rng: np.random.Generator, image_px: int, fall: float) -> np.ndarray:
    frequency = np.hypot(np.fft.fftfreq(image_px)[:, None], np.fft.rfftfreq(image_px)[None])
    frequency[0, 0] = np.inf
    waves = np.fft.rfft2(rng.standard_normal((image_px, image_px))) / frequency**fall
    shaped: np.ndarray = np.fft.irfft2(waves, s=(image_px, image_px))
    shaped /= shaped.std()
    return shaped


@contextmanager
def serving(home: Path) -> Iterator[str]:
    """The site as anyone would serve it, in a process of its own; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # A rater at this pace comes close to the limits, which are not what is measured.
    environment = os.environ | {"ARENA_RATE_LIMITS": "false"}
    command = [str(CANVAS), "arena", "serve", "--port", str(port), "--arena", str(home)]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment)
    address = f"http://127.0.0.1:{port}"
    try:
        await_answer(server, address)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=30)


def await_answer(server: "subprocess.Popen[bytes]", address: str) -> None:
    """Wait until the site answers; the script ends when it does not within a minute."""
    deadline = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{address}/healthz", timeout=5).read()
            return
        except OSError:  # refused, or listening and not yet answering
            time.sleep(0.1)
    raise SystemExit("the site did not answer within 60 s")


# ---- the rater ---------------------------------------------------------------------------------------------------


def rate(browser: "Browser", address: str, setting: Setting, *, clicks: int) -> dict[str, Any]:
    """A new rater in this setting clicks so often; what the stopwatch in the page saw, and what travelled."""
    window = browser.new_context(**setting.window)
    page = window.new_page()
    wire = window.new_cdp_session(page)
    wire.send("Network.enable")
    if setting.megabits is not None:
        throughput = setting.megabits * 1e6 / 8
        wire.send(
            "Network.emulateNetworkConditions",
            {
                "offline": False,
                "latency": setting.latency_ms,
                "downloadThroughput": throughput,
                "uploadThroughput": throughput,
            },
        )
    wire.send("Emulation.setCPUThrottlingRate", {"rate": setting.cpu_slowdown})
    received: list[float] = []
    wire.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    page.goto(f"{address}/rate/?study={STUDY}")
    page.wait_for_selector(".rate[data-phase=voting]")
    page.wait_for_load_state("networkidle")
    received.clear()
    page.evaluate(STOPWATCH)
    for number in range(clicks):
        click(page, ("left", "right")[number % 2], touch="has_touch" in setting.window)
        began = time.monotonic()
        page.wait_for_function("(count) => window.seen.length === count", arg=number + 1)
        rest_ms = max(PACE_MS - 1000 * (time.monotonic() - began), GUARD_MS)
        page.wait_for_timeout(rest_ms)
    page.wait_for_load_state("networkidle")
    seen = page.evaluate("window.seen")
    loading = page.evaluate(LOADING)
    shown = page.inner_text(".count")
    window.close()
    if not shown.startswith(f"{clicks} of ") or not all(one["whole"] for one in seen):
        raise SystemExit(f"{setting.name}: a vote was lost or half an image shown: {shown}, {seen}")
    visible = [one["visible"] for one in seen]
    return {
        "name": setting.name,
        "median_ms": round(float(np.median(visible)), 1),
        "p95_ms": round(float(np.percentile(visible, 95)), 1),
        "max_ms": round(max(visible), 1),
        "exchanged_median_ms": round(float(np.median([one["swapped"] for one in seen])), 1),
        "image_loaded_median_ms": round(float(np.median(loading)), 1),
        "kib_per_vote": kib(sum(received) / clicks),
        "target_ms": setting.target_ms,
    }


def click(page: "Page", choice: str, *, touch: bool) -> None:
    """A real click, or a tap, in the middle of the button."""
    box = page.locator(f".row [data-choice={choice}]").bounding_box()
    assert box is not None, "the choices are on show"
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    if touch:
        page.touchscreen.tap(*middle)
    else:
        page.mouse.click(*middle)


def kib(count: float) -> int:
    """Bytes as whole KiB."""
    return round(count / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clicks", type=int, default=30, help="votes in each setting (default: 30)")
    parser.add_argument("--image-px", type=int, default=512, help="width and height of the images (default: 512)")
    parser.add_argument("--json", action="store_true", help="print one JSON value")
    options = parser.parse_args()
    if options.clicks < 1 or options.image_px < 2:
        parser.error("--clicks is 1 or more, and --image-px 2 or more")
    with tempfile.TemporaryDirectory(prefix="canvas-rating-page-") as folder:
        found = measure(clicks=options.clicks, image_px=options.image_px, home=Path(folder) / "arena")
    if options.json:
        print(json.dumps(found, indent=2))
        return
    size = found["image_kib"]
    print(
        f"click to next pair visible, {found['clicks']} votes {PACE_MS} ms apart, {found['image_px']} px WebP of "
        f"{size['min']} to {size['max']} KiB"
    )
    for one in found["settings"]:
        target = "for information" if one["target_ms"] is None else f"target: median <= {one['target_ms']} ms"
        print(
            f"  {one['name']:<16} median {one['median_ms']:6.1f} ms  p95 {one['p95_ms']:6.1f}  max {one['max_ms']:6.1f}"
            f"  {one['kib_per_vote']:4d} KiB per vote  ({target}; images exchanged after "
            f"{one['exchanged_median_ms']:.1f} ms, an image loaded in {one['image_loaded_median_ms']:.0f} ms)"
        )
    print(f"{found['machine']}; load {', '.join(str(value) for value in found['load'])}")


if __name__ == "__main__":
    main()
