"""The demo, measured: how long its road takes, how much memory, and what its four models really draw.

Usage: python benchmarks/demo.py [--folder FOLDER] [--json]. It walks the road in a fresh folder, once, in a process of
its own, then measures how soon a second walk serves, and lets the eye of the shapes world judge every painted image.
"""

import argparse
import json
import os
import platform
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from arena.images import ImageStore
from arena.ledger.ledger import Ledger
from canvas.demo.eye import look
from canvas.demo.layout import MODELS, SHAPES_STUDY, Layout
from prompts.sets.demo import parse_caption

CANVAS = Path(sys.executable).with_name("canvas")
RATERS = 40


def measure(folder: Path) -> dict[str, Any]:
    """One first walk, one second start, and the eye's judgement of the galleries."""
    walk = [CANVAS, "demo", "--folder", str(folder), "--no-serve", "--simulate-raters", str(RATERS)]
    began = time.monotonic()
    subprocess.run(walk, check=True)
    first_s = time.monotonic() - began
    peak_gib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    return {
        "first_walk_s": round(first_s, 1),
        "peak_memory_gib": round(peak_gib, 2),
        "second_start_s": round(second_start_s(folder), 1),
        "steps_s": json.loads(Layout(folder=folder).times.read_text()),
        "drawn": drawn(Layout(folder=folder)),
        "board": board(folder),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
    }


def second_start_s(folder: Path) -> float:
    """Seconds from `canvas demo` on a finished folder to the first answer of its site."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    began = time.monotonic()
    server = subprocess.Popen([CANVAS, "demo", "--folder", str(folder), "--port", str(port)], stderr=subprocess.DEVNULL)
    try:
        while server.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/rate/?study={SHAPES_STUDY}", timeout=5).read()
                return time.monotonic() - began
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        raise SystemExit("the second walk ended instead of serving")
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=30)


def drawn(layout: Layout) -> dict[str, dict[str, float]]:
    """The share of each model's images where the eye finds the wanted shape, colour, background, and all three."""
    images = ImageStore(str(layout.arena / "images"))
    shares: dict[str, dict[str, float]] = {}
    with Ledger.open(layout.arena / "ledger.db") as ledger:
        study = ledger.study(SHAPES_STUDY).study
        wanted = {prompt.id: parse_caption(prompt.text) for prompt in study.prompts}
        for model in MODELS:
            gallery = ledger.gallery(model.name, study.prompts, study.seeds)
            found = [(look(images.open(image.image_hash)), wanted[image.prompt_id]) for image in gallery]
            right = {
                part: [getattr(seen, part) == getattr(scene, part) for seen, scene in found]
                for part in ("shape", "colour", "background")
            }
            right["all"] = [all(parts) for parts in zip(*right.values(), strict=True)]
            shares[model.name] = {part: round(sum(hits) / len(hits), 3) for part, hits in right.items()}
    return shares


def board(folder: Path) -> Any:
    """The board that the simulated raters' votes make."""
    asked = [
        CANVAS,
        "arena",
        "board",
        SHAPES_STUDY,
        "--arena",
        str(folder / "arena"),
        "--raters",
        "simulated",
        "--json",
    ]
    return json.loads(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where to walk (default: a new temporary folder)")
    parser.add_argument("--json", action="store_true", help="print one JSON value")
    options = parser.parse_args()
    measured = measure(options.folder or Path(tempfile.mkdtemp(prefix="canvas-demo-")) / "demo")
    if options.json:
        print(json.dumps(measured, indent=2))
        return
    print(f"first walk {measured['first_walk_s']} s, peak {measured['peak_memory_gib']} GiB; {measured['machine']}")
    print(f"a second walk serves after {measured['second_start_s']} s")
    for step, seconds in measured["steps_s"].items():
        print(f"  {step:<12} {seconds:7.1f} s")
    for name, shares in measured["drawn"].items():
        print(f"  {name:<12} " + ", ".join(f"{part} {share:.0%}" for part, share in shares.items()))


if __name__ == "__main__":
    main()
