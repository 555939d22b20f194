"""The console: the page at / and its plain files. They hold no data, so they need no token.

All files are read once, when the application is built: what is not among them does not exist, and no
path of a request ever reaches the disk. They lie under an address that holds their version, so that a
browser keeps them for good: only the page itself is asked for again, and an update shows at once.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from bridge.errors import NotFound
from bridge.server.lan import LAN
from bridge.server.route import Access, Route

MEDIA_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
}
FOLDER = Path(__file__).parents[1] / "console"
MODULES = "<!-- modules -->"
"""Where index.html has the list of all modules."""


@dataclass(frozen=True)
class Asset:
    """One file, as it is sent."""

    body: bytes
    media_type: str


class Assets:
    """The page, and the files of the folders beside it, by (folder, name).

    Attributes:
        version: of all files together; another one after any change.
        page: index.html with the version in its addresses, and with every module named, so that a
            browser fetches them side by side instead of finding them one behind the other.
    """

    def __init__(self, folder: Path) -> None:
        self._assets = {
            (path.parent.name, path.name): Asset(path.read_bytes(), MEDIA_TYPES[path.suffix])
            for path in sorted(folder.glob("*/*"))
            if path.suffix in MEDIA_TYPES
        }
        index = (folder / "index.html").read_text(encoding="utf-8")
        digest = hashlib.sha256(index.encode())
        for (kind, name), asset in self._assets.items():
            digest.update(f"{kind}/{name} {len(asset.body)} ".encode() + asset.body)
        self.version = digest.hexdigest()[:16]
        self.page = self._page(index).encode()

    def get(self, version: str, folder: str, name: str) -> Asset:
        """One file.

        Raises:
            NotFound: the console has no such file, or no longer.
        """
        asset = self._assets.get((folder, name))
        if version != self.version or asset is None:
            raise NotFound("The console has no such file.")
        return asset

    def _page(self, index: str) -> str:
        modules = "\n".join(
            f'    <link rel="modulepreload" fetchpriority="low" href="/console/{folder}/{name}" />'
            for folder, name in self._assets
            if name.endswith(".js") and f"/console/{folder}/{name}" not in index
        )
        return index.replace(MODULES, modules.strip()).replace("/console/", f"/console/{self.version}/")


ASSETS = web.AppKey("assets", Assets)


async def console_page(request: web.Request) -> web.StreamResponse:
    """The console."""
    assets = request.app[ASSETS]
    headers = {**_headers(request), "Cache-Control": "no-cache", "ETag": f'"{assets.version}"'}
    if request.headers.get("If-None-Match") == headers["ETag"]:
        return web.Response(status=304, headers=headers)
    return web.Response(body=assets.page, content_type="text/html", charset="utf-8", headers=headers)


async def console_file(request: web.Request) -> web.StreamResponse:
    """A script, style sheet or picture of the console."""
    asset = request.app[ASSETS].get(*(request.match_info[part] for part in ("version", "folder", "file")))
    headers = {**_headers(request), "Cache-Control": "max-age=31536000, immutable"}
    charset = "utf-8" if asset.media_type.startswith("text/") else None
    return web.Response(body=asset.body, content_type=asset.media_type, charset=charset, headers=headers)


def policy(sockets: str) -> str:
    """The content policy of the page: its own files, pictures that it was given, its own socket.

    Args:
        sockets: where the page's socket leads, scheme and host. Not every browser counts ws: as 'self'.
    """
    return "; ".join(
        (
            "default-src 'self'",
            "img-src 'self' blob:",
            f"connect-src 'self' {sockets}",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        )
    )


def _headers(request: web.Request) -> dict[str, str]:
    scheme = "wss" if request.app[LAN].took(request) else "ws"  # as the door that the page came through
    return {
        # The guard has checked the host.
        "Content-Security-Policy": policy(f"{scheme}://{request.headers['Host'].lower()}"),
        "Cross-Origin-Opener-Policy": "same-origin",
    }


ROUTES = (
    Route("GET", "/", console_page, access=Access.open, gives="text/html"),
    Route(
        "GET",
        "/console/{version}/{folder}/{file}",
        console_file,
        access=Access.open,
        gives="text/javascript",
        errors=(NotFound,),
    ),
)
