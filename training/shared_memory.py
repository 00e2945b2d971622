"""Streaming's shared memory: taken in turn, and cleaned of what dead jobs of ours left behind.

mosaicml-streaming numbers its shared memory segments from 0 and takes the first free number. Two jobs that start at
once may take the same one; a killed job leaves its segments, whose size grows with the data set; and streaming's own
clean-up unlinks those of living jobs too. So here a data set is opened in turn, its number is claimed by a lock that
ends with the process, and only segments whose claim nobody holds any more are removed. Linux: segments are in /dev/shm.
"""

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from streaming.base.constant import BARRIER_FILELOCK, CACHE_FILELOCK, SHM_TO_CLEAN
from streaming.base.distributed import get_local_rank
from torch import distributed

_SEGMENTS = Path("/dev/shm")
# Claims last as long as this process: closing a file would give its lock away.
_held: list[IO[str]] = []


@contextmanager
def own_turn() -> Iterator[None]:
    """Hold the machine-wide lock under which a data set takes its number; the first rank on a machine holds it.

    The other ranks of a job wait for it at a barrier, and meet it again inside streaming's own.
    """
    with (_claims() / "turn").open("w") as turn:
        if get_local_rank() == 0:
            fcntl.flock(turn, fcntl.LOCK_EX)
            _clean_dead_claims()
        if distributed.is_initialized():
            distributed.barrier()
        yield


def claim(number: int) -> None:
    """Note, for as long as this process lives, that the segments numbered `number` are in use."""
    if get_local_rank() != 0:
        return
    file = (_claims() / f"{number:06}").open("w")
    fcntl.flock(file, fcntl.LOCK_EX)
    json.dump(_inodes(number), file)
    file.flush()
    _held.append(file)


def _clean_dead_claims() -> None:
    """Remove the segments of every claim that no living process holds, unless somebody else's took their place."""
    for path in _claims().iterdir():
        if not path.name.isdigit():
            continue
        with path.open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            number, text = int(path.name), file.read()
            # A claim that was cut short names nothing; then the segments stay, which costs only their memory.
            noted: dict[str, int] = json.loads(text) if text.endswith("}") else {}
            if noted and all(_inodes(number).get(name, inode) == inode for name, inode in noted.items()):
                for name in SHM_TO_CLEAN:
                    (_SEGMENTS / _name(number, name)).unlink(missing_ok=True)
                for name in (BARRIER_FILELOCK, CACHE_FILELOCK):
                    (Path(tempfile.gettempdir()) / _name(number, name)).unlink(missing_ok=True)
            path.unlink()


def _inodes(number: int) -> dict[str, int]:
    """The identities of the segments of one number that exist now."""
    paths = {name: _SEGMENTS / _name(number, name) for name in SHM_TO_CLEAN}
    return {name: path.stat().st_ino for name, path in paths.items() if path.exists()}


def _name(number: int, name: str) -> str:
    return f"{number:06}_{name}"


def _claims() -> Path:
    folder = Path(tempfile.gettempdir()) / f"canvas-arena-streaming-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
