"""A studio's own certificate authorities: one for bridges that no public authority can vouch for, one that a
cluster's machines derive from their token.

Uses `cryptography` (extra `studio`), imported when it is needed. Knows no network.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.atomic import private_folder, write_file
from bridge.errors import ConfigInvalid, ExtraMissing, InvalidRequest

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    from bridge.engine.ray import Identity

AUTHORITY_DAYS = 3650
SERVER_DAYS = 397
"""Apple's and Chrome's limit for a server's certificate is 398 days."""
EARLIER = timedelta(hours=1)
"""Clocks in a studio differ."""
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the curve's base point: FIPS 186-4, D.1.2.3."""


@dataclass(frozen=True)
class Certificates:
    """Where the files of a studio lie.

    Attributes:
        authority: to be installed on every workstation.
        authority_key: makes workstations believe anything; keep it off the network.
        server, server_key: for `tls_certificate` and `tls_key`.
    """

    folder: Path

    @property
    def authority(self) -> Path:
        """PEM."""
        return self.folder / "authority.pem"

    @property
    def authority_key(self) -> Path:
        """PEM, owner-only."""
        return self.folder / "authority.key"

    @property
    def server(self) -> Path:
        """PEM."""
        return self.folder / "bridge.pem"

    @property
    def server_key(self) -> Path:
        """PEM, owner-only."""
        return self.folder / "bridge.key"


def make(folder: Path, names: Sequence[str]) -> Certificates:
    """A certificate for a bridge of these names; the authority is made at the first time, and kept.

    Args:
        folder: made when needed.
        names: DNS names and IP addresses, without ports.

    Raises:
        InvalidRequest: there is no name, or one that is none.
        ConfigInvalid: the authority's files cannot be read.
        ExtraMissing: `cryptography` is not installed.
        OutputError: the folder cannot be written.
    """
    _require()
    from cryptography.hazmat.primitives.asymmetric import ec

    alternatives = _alternatives(names)
    files = Certificates(folder)
    private_folder(folder)
    if not files.authority_key.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        _write(files.authority_key, files.authority, key, _authority(key, "GPEN Enhance studio authority"))
    authority, authority_key = _read(files)
    key = ec.generate_private_key(ec.SECP256R1())
    server = _machine(key, names[0], alternatives, authority, authority_key, days=SERVER_DAYS, calls=False)
    _write(files.server_key, files.server, key, server)
    return files


def for_cluster(folder: Path, token: str, address: str) -> Identity:
    """A certificate for one machine of a cluster, by an authority whose key follows from the cluster's token.

    So whoever has the token can make one, on each machine anew, and nobody else: the token is all that is
    carried from machine to machine, and it opens no more than before. The authority's key is not written.

    Args:
        folder: made when needed; what lies there is replaced.
        token: random, since who sees a certificate could try guesses.
        address: the machine's IP address or name in the cluster's network.

    Raises:
        InvalidRequest: the address is none.
        ExtraMissing: `cryptography` is not installed.
        OutputError: the folder cannot be written.
    """
    _require()
    from cryptography.hazmat.primitives.asymmetric import ec

    from bridge.engine.ray import Identity

    alternatives = _alternatives([address, "127.0.0.1", "localhost"])
    files = Identity(folder)
    private_folder(folder)
    authority_key = _derived(token)
    authority = _authority(authority_key, "GPEN Enhance cluster authority")
    write_file(files.authority, _pem(authority))
    key = ec.generate_private_key(ec.SECP256R1())
    machine = _machine(key, address, alternatives, authority, authority_key, days=AUTHORITY_DAYS, calls=True)
    _write(files.key, files.certificate, key, machine)
    return files


def _derived(token: str) -> EllipticCurvePrivateKey:
    """The key that follows from a token: HKDF, RFC 5869; with 16 bytes to spare, no key is likelier."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    derivation = HKDF(hashes.SHA256(), length=48, salt=None, info=b"gpen-enhance cluster authority")
    number = int.from_bytes(derivation.derive(token.encode()))
    return ec.derive_private_key(1 + number % (P256_ORDER - 1), ec.SECP256R1())


def _require() -> None:
    if find_spec("cryptography") is None:
        raise ExtraMissing("Certificates need an extra: pip install 'gpen-enhance[studio]'.")


def _authority(key: EllipticCurvePrivateKey, title: str) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import NameOID

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, title)])
    return (
        _begun(name, name, key, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _machine(
    key: EllipticCurvePrivateKey,
    name: str,
    alternatives: Sequence[x509.GeneralName],
    authority: x509.Certificate,
    authority_key: EllipticCurvePrivateKey,
    *,
    days: int,
    calls: bool,
) -> x509.Certificate:
    """For one that is called by others, and with `calls` calls them too."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    issuer_key = authority_key.public_key()
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, *([ExtendedKeyUsageOID.CLIENT_AUTH] if calls else [])]
    return (
        _begun(subject, authority.subject, key, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
        .sign(authority_key, hashes.SHA256())
    )


def _begun(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    from cryptography import x509

    begin = datetime.now(UTC) - EARLIER
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=days))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternatives(names: Sequence[str]) -> list[x509.GeneralName]:
    from cryptography import x509

    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
            continue
        except ValueError:
            pass
        labels = name.split(".")
        if not all(label.replace("-", "").isalnum() and label.isascii() for label in labels):
            raise InvalidRequest(f"{name!r} is neither a DNS name nor an IP address.")
        found.append(x509.DNSName(name.lower()))
    if not found:
        raise InvalidRequest("A certificate needs at least one name.")
    return found


def _write(key_path: Path, path: Path, key: EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    from cryptography.hazmat.primitives import serialization

    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    # The key last: it tells that both are there.
    write_file(path, _pem(certificate))
    write_file(key_path, private, private=True)


def _pem(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return certificate.public_bytes(serialization.Encoding.PEM)


def _read(files: Certificates) -> tuple[x509.Certificate, EllipticCurvePrivateKey]:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        authority = x509.load_pem_x509_certificate(files.authority.read_bytes())
        key = serialization.load_pem_private_key(files.authority_key.read_bytes(), password=None)
    except (OSError, ValueError) as error:
        raise ConfigInvalid(
            f"The authority in {files.folder} cannot be read: {error}.",
            hint="Put both of its files back, or remove both: then each workstation needs the new one.",
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigInvalid(f"{files.authority_key} is no key of ours.")
    return authority, key
