"""Small pictures of results and sources, made when first looked at and kept for the next look.

The folder is a cache: it may be deleted at any time, and is kept under a size.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np

from bridge.atomic import write_file
from bridge.errors import ItemNotDone, OutputError, PixelsUnsupported, ResultGone
from bridge.imaging.codecs import decode
from bridge.imaging.image import Image
from bridge.imaging.preview import preview
from bridge.jobs import spool
from bridge.jobs.outputs import Outputs
from bridge.jobs.sources import Sources
from bridge.jobs.store import Row, Store, of_rows
from bridge.jobs.views import item_row
from bridge.protocol import frame
from bridge.protocol.frame import PixelsPayload, decode_frame
from bridge.protocol.jobs import ItemResult, Source
from bridge.protocol.picture import DTYPES, IMAGE, ImageFile, picture_of

MIN_SIZE, DEFAULT_SIZE, MAX_SIZE = 64, 512, 4096
CACHE_BYTES = 500 * 1024**2

Side = Literal["result", "source"]


class Previews:
    """Previews of items, until `close`; one is made at a time, since each decodes a whole photo.

    They are made in a thread of their own, so that a page of a hundred takes no other thread.
    """

    def __init__(
        self, folder: Path, store: Store, outputs: Outputs, sources: Sources, max_megapixels: float
    ) -> None:
        self._folder = folder
        self._store = store
        self._outputs = outputs
        self._sources = sources
        self._max_megapixels = max_megapixels
        self._maker = ThreadPoolExecutor(1, thread_name_prefix="preview")

    def jpeg(self, job: str, item: int, side: Side, size: int) -> Future[bytes]:
        """A JPEG of at most `size` pixels a side: there at once when it is kept, else in its turn.

        Cancel the future when nobody waits any more; what has not begun is not made then.

        Raises:
            JobUnknown, ItemUnknown, StoreUnavailable: as everywhere; the last also for a damaged row.
            ItemNotDone: there is no result.

        The future raises:
            ResultGone: there is no result any more.
            SourceMissing, SourceUnreadable, ImageError: the photo cannot be shown.
        """
        with self._store.read() as rows:
            row = item_row(rows, job, item)
        result, source = _files_of(row)
        if side == "result" and result is None:
            raise ItemNotDone(f"Item {item} of job {job} is {row['state']}.")
        identity = f"{result.sha256}" if side == "result" and result else f"{job}/{item}"
        path = self._folder / f"{hashlib.sha256(f'{side}:{identity}'.encode()).hexdigest()[:32]}-{size}.jpg"
        if (kept := _kept(path)) is not None:
            found = Future[bytes]()
            found.set_result(kept)
            return found

        def make() -> bytes:
            if (meanwhile := _kept(path)) is not None:
                return meanwhile
            shown = self._of_result(result) if side == "result" and result else self._of_source(source)
            data = preview(shown, size)
            self._keep(path, data)
            return data

        return self._maker.submit(make)

    def close(self) -> None:
        """Make no more; waits for the one that is being made."""
        self._maker.shutdown(cancel_futures=True)

    def _of_result(self, result: ItemResult) -> Image:
        try:
            data = self._outputs.path_of(result.name).read_bytes()
        except OSError as error:
            raise ResultGone(f"{result.name} is not in the output folder.") from error
        if result.media_type != frame.MEDIA_TYPE:
            return decode(data, max_megapixels=self._max_megapixels)
        found = decode_frame(data)
        payload = next(one for one in found.header.payloads if one.name == IMAGE)
        if not isinstance(payload, PixelsPayload) or payload.depth == "f32":
            raise PixelsUnsupported("There is no preview of linear or enclosed pixels.")
        pixels = np.frombuffer(found.views[IMAGE], DTYPES[payload.depth])
        return Image(pixels.reshape(payload.height, payload.width, payload.channels))

    def _of_source(self, source: Source) -> Image:
        picture = self._sources.read(source)
        content = picture if isinstance(picture, ImageFile) else picture_of(picture)
        if isinstance(content, ImageFile):
            return decode(content.data, max_megapixels=self._max_megapixels)
        return content

    def _keep(self, path: Path, data: bytes) -> None:
        try:
            spool.make_folder(self._folder)
            write_file(path, data)
            kept = sorted(
                (one.stat().st_mtime, one.stat().st_size, one) for one in self._folder.glob("*.jpg")
            )
        except (OSError, OutputError):
            return  # it is shown all the same, and made again next time
        total = sum(size for _, size, _ in kept)
        for _, size, oldest in kept:
            if total <= CACHE_BYTES:
                break
            spool.discard(oldest)
            total -= size


@of_rows
def _files_of(row: Row) -> tuple[ItemResult | None, Source]:
    result = ItemResult.model_validate_json(row["result"]) if row["result"] else None
    return result, Source.model_validate_json(row["source"])


def _kept(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None  # not made yet
