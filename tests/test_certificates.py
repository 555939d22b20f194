from __future__ import annotations

import contextlib
import os
import ssl
from pathlib import Path

import pytest

from bridge import certificates
from bridge.engine.ray import Identity
from bridge.errors import ConfigInvalid, InvalidRequest

pytest.importorskip("cryptography", reason="the extra studio brings it")


def test_the_authority_stays_and_vouches_for_each_new_certificate(tmp_path: Path) -> None:
    from cryptography import x509

    first = certificates.make(tmp_path, ["bridge.lan"])
    authority, server = first.authority.read_bytes(), first.server.read_bytes()
    again = certificates.make(tmp_path, ["bridge.lan", "192.168.1.20", "fd00::1"])
    assert again.authority.read_bytes() == authority
    assert again.server.read_bytes() != server
    made = x509.load_pem_x509_certificate(again.server.read_bytes())
    made.verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["bridge.lan"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["192.168.1.20", "fd00::1"]
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(again.server, again.server_key)
    if os.name == "posix":
        assert all(key.stat().st_mode & 0o077 == 0 for key in (again.server_key, again.authority_key))


def shake_hands(server: Identity, client: Identity | None, address: str = "10.0.0.2") -> None:
    """What Ray's machines do, in memory: each shows a certificate and demands one."""
    called = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=server.authority)
    called.load_cert_chain(server.certificate, server.key)
    called.verify_mode = ssl.CERT_REQUIRED
    calling = ssl.create_default_context(cafile=(client or server).authority)
    if client is not None:
        calling.load_cert_chain(client.certificate, client.key)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        calling.wrap_bio(back, there, server_hostname=address),
        called.wrap_bio(there, back, server_side=True),
    ]
    for _ in range(6):
        for end in ends:
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    ends[0].write(b"x")
    assert ends[1].read(1) == b"x"


def test_machines_that_have_the_token_know_each_other_and_nobody_else(tmp_path: Path) -> None:
    head = certificates.for_cluster(tmp_path / "head", "t" * 64, "10.0.0.2")
    node = certificates.for_cluster(tmp_path / "node", "t" * 64, "10.0.0.11")
    shake_hands(head, node)
    shake_hands(node, head, "10.0.0.11")
    shake_hands(head, certificates.for_cluster(tmp_path / "node", "t" * 64, "10.0.0.12"))  # after a move
    other = certificates.for_cluster(tmp_path / "other", "u" * 64, "10.0.0.11")
    for stranger in (None, other):
        with pytest.raises(ssl.SSLError):
            shake_hands(head, stranger)
    with pytest.raises(ssl.SSLError):
        shake_hands(node, head, "10.0.0.2")  # one machine cannot stand in for another
    if os.name == "posix":
        assert node.key.stat().st_mode & 0o077 == 0
    assert {path.suffix for path in node.folder.iterdir()} == {".pem", ".key"}
    assert len(list(node.folder.iterdir())) == 3  # the authority's key is nowhere


@pytest.mark.parametrize("names", [[], ["a b"], ["bridge.lan:443"], ["*"], ["a..b"], [""], ["ä.lan"]])
def test_what_is_no_name_is_refused(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(InvalidRequest):
        certificates.make(tmp_path / "tls", names)
    assert not (tmp_path / "tls").exists()


def test_a_damaged_authority_is_not_replaced_in_silence(tmp_path: Path) -> None:
    made = certificates.make(tmp_path, ["bridge.lan"])
    made.authority_key.write_bytes(b"no key")
    with pytest.raises(ConfigInvalid, match="authority"):
        certificates.make(tmp_path, ["bridge.lan"])
