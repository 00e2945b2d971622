"""The arena's image, built without a Docker engine: its steps run in a fresh folder, and what they make serves."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
DEADLINE_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    keyword: str
    argument: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltImage:
    root: Path
    command: list[str]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        program = self.root / "opt/venv/bin" / words[0]
        return subprocess.run([program, *words[1:]], check=False, capture_output=True, text=True)


def instructions(dockerfile: str, target: str) -> list[Instruction]:
    """The instructions of `target` and of the stage it is made from, in order."""
    text = re.sub(r"\\\n", " ", "\n".join(line for line in dockerfile.splitlines() if not line.startswith("#")))
    stages: dict[str, list[Instruction]] = {}
    name = ""
    for line in filter(None, map(str.strip, text.splitlines())):
        keyword, _, argument = line.partition(" ")
        if keyword == "FROM":
            origin, _, name = argument.partition(" AS ")
            stages[name] = list(stages.get(origin, []))
        else:
            stages[name].append(Instruction(keyword=keyword, argument=argument))
    return stages[target]


def in_root(root: Path, command: str) -> str:
    """`command` with the image's absolute folders moved under `root`."""
    moved = re.sub(r"(?<![\w.])/(?=opt/|var/lib/arena)", f"{root}/", command)
    # Only root may give a folder to another user; the image's builder is root.
    return moved if os.geteuid() == 0 else re.sub(r"--(owner|group) \d+", "", moved)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> BuiltImage:
    root = tmp_path_factory.mktemp("image")
    workdir = root
    command: list[str] = []
    for step in instructions((PROJECT / "Dockerfile").read_text(), "arena"):
        if step.keyword == "WORKDIR":
            workdir = root / step.argument.lstrip("/")
            workdir.mkdir(parents=True)
        elif step.keyword == "COPY":
            *sources, destination = step.argument.split()
            for source in sources:
                place = workdir / destination / (source if destination.endswith("/") else "")
                if (PROJECT / source).is_dir():
                    shutil.copytree(PROJECT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(PROJECT / source, place)
        elif step.keyword == "RUN":
            (root / "var/lib").mkdir(parents=True, exist_ok=True)
            path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
            subprocess.run(
                in_root(root, step.argument), shell=True, check=True, cwd=workdir, env={**os.environ, "PATH": path}
            )
        elif step.keyword == "CMD":
            command = [word.strip(' "') for word in step.argument.strip("[]").split(",")]
    return BuiltImage(root=root, command=command)


@pytest.mark.slow
def test_the_arena_image_holds_no_torch(image: BuiltImage) -> None:
    listed = image.run("pip", "list", "--format=freeze")

    assert listed.returncode == 0
    assert "gradio==" in listed.stdout
    assert "psycopg==" in listed.stdout
    assert not re.search(r"^(torch|diffusers|transformers|mosaicml)", listed.stdout, re.MULTILINE)


@pytest.mark.slow
def test_every_module_of_the_arena_and_the_prompts_imports_in_the_image(image: BuiltImage) -> None:
    walk = (
        "import importlib, pkgutil, arena, prompts, canvas.cli\n"
        "for package in (arena, prompts):\n"
        "    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        if '.migrations' not in module.name:\n"
        "            importlib.import_module(module.name)\n"
        "            print(module.name)\n"
    )

    imported = image.run("python", "-c", walk)

    assert imported.returncode == 0, imported.stderr
    assert "arena.ledger.ledger" in imported.stdout


@pytest.mark.slow
def test_the_image_serves_as_its_last_line_says_and_stops_when_told(image: BuiltImage) -> None:
    port = free_port()
    command = [str(port) if word == "7860" else word.replace("0.0.0.0", "127.0.0.1") for word in image.command]
    venv = image.root / "opt/venv/bin"
    home = image.root / "var/lib/arena"
    environment = {"PATH": f"{venv}:/usr/bin:/bin", "HOME": str(home), "ARENA_HOME": str(home)}
    server = subprocess.Popen([venv / command[0], *command[1:]], env=environment, cwd=home)

    try:
        health = eventually(f"http://127.0.0.1:{port}/healthz")
        page = eventually(f"http://127.0.0.1:{port}/")
    finally:
        server.send_signal(signal.SIGTERM)
        stopped = server.wait(timeout=DEADLINE_S)

    assert '"ok"' in health
    assert "<h1" in page
    assert (home / "ledger.db").is_file()
    assert stopped in (0, -signal.SIGTERM)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def eventually(url: str) -> str:
    """The page at `url`, as soon as it answers."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                body: bytes = answer.read()
                return body.decode()
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
