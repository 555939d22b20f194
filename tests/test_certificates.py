from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest

from bridge import certificates
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
