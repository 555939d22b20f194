"""The bridge's second door: the address that a studio's other computers reach.

Says which requests came in through it, by which names it may be called, and who really sent what a
trusted proxy passes on. Loopback keeps its own door, without TLS and with the owner's token.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from bridge.config import Settings
from bridge.errors import ConfigInvalid, HostRefused

LOOPBACK = ("127.0.0.1", "localhost", "::1")
HTTPS = 443


@dataclass
class Lan:
    """What is known of the second door.

    Attributes:
        names: as they may stand in Host, lower case; with the port where that is not the door's own.
        proxies: addresses of proxies that end TLS; empty: the bridge does so itself.
        port: where it listens; 0: there is none.
    """

    names: tuple[str, ...] = ()
    proxies: frozenset[str] = frozenset()
    port: int = 0

    def took(self, request: web.Request) -> bool:
        """Whether a request came in here.

        Raises:
            HostRefused: its connection is gone.
        """
        transport = request.transport
        if transport is None:
            raise HostRefused("The connection is gone.")
        return self.port != 0 and transport.get_extra_info("sockname")[1] == self.port

    @property
    def hosts(self) -> frozenset[str]:
        """The values of Host that mean this bridge here."""
        whole = {name if _has_port(name) else f"{name}:{self.port}" for name in self.names}
        # Browsers leave out the port that https has anyhow.
        return frozenset(whole | {host.removesuffix(f":{HTTPS}") for host in whole})

    def sender(self, request: web.Request) -> str:
        """Address of the computer that a request comes from.

        Raises:
            HostRefused: it did not come through the proxy that it has to come through.
        """
        peer = request.remote or ""
        if not self.proxies:
            return peer
        told = request.headers.getall("X-Forwarded-For", [])
        scheme = request.headers.getall("X-Forwarded-Proto", [])
        if peer not in self.proxies or len(told) != 1 or scheme != ["https"]:
            raise HostRefused(
                "Only the studio's proxy may connect here, and it has to say for whom.",
                hint="Use the proxy's address; docs/studio.md tells which headers it must set.",
            )
        # The last one is what the proxy itself saw; those before are only what somebody claims.
        return told[0].rpartition(",")[2].strip()


LAN = web.AppKey("lan", Lan)


def lan_of(settings: Settings) -> Lan:
    """The second door as the settings want it, not yet listening.

    Raises:
        ConfigInvalid: the host is no loopback address, and what protects it is missing.
    """
    if settings.host in LOOPBACK:
        return Lan()
    proxies = frozenset(str(proxy) for proxy in settings.trusted_proxies)
    if not settings.host or not (proxies or (settings.tls_certificate and settings.tls_key)):
        raise ConfigInvalid(
            f"Setting `host`: {settings.host} is reached by other computers, without TLS.",
            hint="Set `tls_certificate` and `tls_key`, or `trusted_proxies`; docs/studio.md shows how.",
        )
    if not settings.names:
        raise ConfigInvalid(
            "Setting `names`: it is empty, so that no request to this address would be accepted.",
            hint="List the names and addresses by which other computers call the bridge.",
        )
    return Lan(tuple(name.lower() for name in settings.names), proxies)


def tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """What the door shows of itself; None where a proxy does that.

    Raises:
        ConfigInvalid: certificate and key cannot be used together, or strangers may read the key.
    """
    if certificate is None or key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if key.stat().st_mode & 0o004 and os.name == "posix":
            raise ConfigInvalid(f"Everybody may read {key}.", hint=f"Run: chmod 600 {key}")
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigInvalid(
            f"{certificate} and {key} cannot be used: {error}.",
            hint="`gpen-bridge studio certificate` makes a pair.",
        ) from error
    return context


def is_loopback(address: str | None) -> bool:
    """Whether an address is this computer's own."""
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False


def _has_port(name: str) -> bool:
    return name.rpartition("]")[2].count(":") == 1
