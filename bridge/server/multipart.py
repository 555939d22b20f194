"""The parts of a multipart body, and what aiohttp's parser raises by our name."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.multipart import BadContentDispositionHeader, BadContentDispositionParam, MultipartReader

from bridge.errors import InvalidRequest
from bridge.server.patience import arrived

# A part without a name is refused below; what a stranger wrote into its header is not for our console.
for _told in (BadContentDispositionHeader, BadContentDispositionParam):
    warnings.filterwarnings("ignore", category=_told)


async def parts_of(request: web.Request) -> AsyncIterator[BodyPartReader]:
    """Each part of the body in turn, to be read before the next one is asked for."""
    reader = await request.multipart()
    while (part := await arrived(reader.next())) is not None:
        if isinstance(part, MultipartReader):
            raise InvalidRequest("A part may not be multipart itself.")
        yield part


@contextmanager
def named_failures() -> Iterator[None]:
    """Around the reading of parts.

    Raises:
        InvalidRequest: the body is not multipart as it should be.
    """
    try:
        yield
    except (ValueError, AssertionError, HttpProcessingError) as error:  # what aiohttp's parser raises
        reason = " ".join(str(error).split())
        raise InvalidRequest(f"The multipart body cannot be read: {reason}") from error
