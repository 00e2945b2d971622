"""Images by what is in them: one store, one codec, names that are hashes.

In: decoded images. Out: bytes that tell nothing of who painted them: all are RGB, lossless WebP, no metadata. The
store is a folder or any fsspec address (s3://, memory://). Its names are SHA-256 of the bytes and stay on the server.
"""

import hashlib
import io
import re
import secrets
from dataclasses import dataclass

import fsspec
from PIL import Image

from prompts.errors import CanvasError

_HASH = re.compile(r"[0-9a-f]{64}")


class UnknownImageError(CanvasError):
    """A hash under which the store holds no image."""


class DamagedImageError(CanvasError):
    """A stored file whose bytes are no longer those that its name was made from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """An image in the store: `hash` is the SHA-256 of its `bytes` encoded bytes; width and height in pixels."""

    hash: str
    width: int
    height: int
    bytes: int


class ImageStore:
    """Keeps each image once, whatever is called how often."""

    def __init__(self, root_url: str) -> None:
        """`root_url` is a local folder or any fsspec address; it is made when the first image comes."""
        self._files, self._root = fsspec.core.url_to_fs(root_url)
        self._scaled: dict[tuple[str, int, int], str] = {}

    def put(self, image: Image.Image) -> StoredImage:
        """Encode `image` as all are encoded, and keep it; the same pixels give the same hash. Transparency is on white.

        Written beside and then moved, so that an interrupted write leaves no half image under a hash.
        """
        pixels = _opaque(image)
        encoded = _encode(pixels)
        name = hashlib.sha256(encoded).hexdigest()
        path = self._path(name)
        if not self._holds(path, len(encoded)):
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            beside = f"{path}.{secrets.token_hex(8)}.partial"
            self._files.pipe_file(beside, encoded)
            self._files.mv(beside, path)
        return StoredImage(hash=name, width=pixels.width, height=pixels.height, bytes=len(encoded))

    def get(self, hash: str) -> bytes:
        """The encoded bytes (image/webp). Raises UnknownImageError, or DamagedImageError when they were altered."""
        try:
            encoded: bytes = self._files.cat_file(self._path(hash))
        except FileNotFoundError as error:
            raise UnknownImageError(
                f"The image store {self._root} has no image {hash}. Restore it from a copy, or paint the gallery again."
            ) from error
        if hashlib.sha256(encoded).hexdigest() != hash:
            raise DamagedImageError(
                f"The image {hash} in {self._root} was altered or cut short. Remove it and restore it from a copy."
            )
        return encoded

    def open(self, hash: str) -> Image.Image:
        """The decoded image, RGB. Raises as `get` does."""
        with Image.open(io.BytesIO(self.get(hash)), formats=["WEBP"]) as image:
            decoded: Image.Image = image.convert("RGB")
            return decoded

    def scaled(self, hash: str, width: int, height: int) -> str:
        """The hash of this image at another size in pixels (Lanczos), made and kept when it is first asked for."""
        wanted = (hash, width, height)
        if wanted not in self._scaled:
            self._scaled[wanted] = self.put(self.open(hash).resize((width, height), Image.Resampling.LANCZOS)).hash
        return self._scaled[wanted]

    def has(self, hash: str) -> bool:
        """Whether the store holds an image under this hash."""
        return bool(self._files.exists(self._path(hash)))

    def _holds(self, path: str, length: int) -> bool:
        # A file cut short by a power failure is written again.
        try:
            return bool(self._files.size(path) == length)
        except FileNotFoundError:
            return False

    def _path(self, hash: str) -> str:
        # A name that is no hash never becomes a path: "../" has no way in.
        if not _HASH.fullmatch(hash):
            raise UnknownImageError(f"{hash!r} is no image hash (64 hexadecimal digits).")
        return f"{self._root}/{hash[:2]}/{hash}.webp"


def _opaque(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        painted = image.convert("RGBA")
        white = Image.new("RGBA", painted.size, "white")
        return Image.alpha_composite(white, painted).convert("RGB")
    return image.convert("RGB")


def _encode(pixels: Image.Image) -> bytes:
    # A fresh image from the pixels alone: EXIF, ICC profiles and comments do not come along.
    bare = Image.frombytes("RGB", pixels.size, pixels.tobytes())
    buffer = io.BytesIO()
    bare.save(buffer, format="WEBP", lossless=True, quality=80, method=4, exact=True)
    return buffer.getvalue()
