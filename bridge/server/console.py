"""The console: the page at / and its plain files. They hold no data, so they need no token.

All files are read once, when the application is built: what is not among them does not exist, and no
path of a request ever reaches the disk.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from bridge.errors import NotFound
from bridge.server.route import Access, Route

MEDIA_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
}
FOLDER = Path(__file__).parents[1] / "console"


@dataclass(frozen=True)
class Asset:
    """One file, as it is sent."""

    body: bytes
    media_type: str
    etag: str


class Assets:
    """The files of one folder and of the folders in it, by (folder, name)."""

    def __init__(self, folder: Path) -> None:
        self._assets = {
            ("" if path.parent == folder else path.parent.name, path.name): _read(path)
            for pattern in ("*", "*/*")
            for path in folder.glob(pattern)
            if path.suffix in MEDIA_TYPES
        }

    def get(self, folder: str, name: str) -> Asset:
        """One file.

        Raises:
            NotFound: the console has no such file.
        """
        try:
            return self._assets[folder, name]
        except KeyError as error:
            raise NotFound("The console has no such file.") from error


ASSETS = web.AppKey("assets", Assets)


async def console_page(request: web.Request) -> web.StreamResponse:
    """The console."""
    return _send(request, request.app[ASSETS].get("", "index.html"))


async def console_file(request: web.Request) -> web.StreamResponse:
    """A script, style sheet or picture of the console."""
    return _send(request, request.app[ASSETS].get(request.match_info["folder"], request.match_info["file"]))


def policy(host: str) -> str:
    """The content policy of the page: its own files, pictures that it was given, its own socket.

    Args:
        host: of the request, after the guard has checked it. Not every browser counts ws: as 'self'.
    """
    return "; ".join(
        (
            "default-src 'self'",
            "img-src 'self' blob:",
            f"connect-src 'self' ws://{host}",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        )
    )


def _send(request: web.Request, asset: Asset) -> web.Response:
    headers = {
        "Cache-Control": "no-cache",  # kept, but asked for again: an update shows at once
        "ETag": asset.etag,
        "Content-Security-Policy": policy(request.headers["Host"].lower()),
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    if request.headers.get("If-None-Match") == asset.etag:
        return web.Response(status=304, headers=headers)
    charset = "utf-8" if asset.media_type.startswith("text/") else None
    return web.Response(body=asset.body, content_type=asset.media_type, charset=charset, headers=headers)


def _read(path: Path) -> Asset:
    body = path.read_bytes()
    return Asset(body, MEDIA_TYPES[path.suffix], f'"{hashlib.sha256(body).hexdigest()[:20]}"')


ROUTES = (
    Route("GET", "/", console_page, access=Access.open, gives="text/html"),
    Route(
        "GET",
        "/console/{folder}/{file}",
        console_file,
        access=Access.open,
        gives="text/javascript",
        errors=(NotFound,),
    ),
)
