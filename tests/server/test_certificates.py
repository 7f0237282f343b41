"""The authority that is made once, and what it can vouch for."""

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from astria_emulator import Config
from astria_emulator.__main__ import main
from astria_emulator.errors import SetupError
from astria_emulator.server.certificates import (
    authority,
    folder_of,
    names_of,
    path_of,
    server_context,
)
from tests import PATIENCE_SECONDS

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Config]:
    return lambda **settings: Config(**{"tls": True, "tls_dir": str(tmp_path / "tls"), **settings})


def extension(certificate: x509.Certificate, kind: Any) -> Any:
    return certificate.extensions.get_extension_for_class(kind)


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    """The permissions of a folder, as ".", and of what is in it."""
    found = {path.name: path for path in folder.iterdir()} | {".": folder}
    return {name: stat.S_IMODE(path.stat().st_mode) for name, path in found.items()}


OPEN = {".": 0o755, "ca.key": 0o600, "ca.pem": 0o644}  # others read all but the key


def test_authority_is_kept(make: Callable[..., Config]) -> None:
    first, second = authority(make(), now=NOW), authority(make(), now=NOW + 300 * DAY)
    assert first.certificate == second.certificate
    assert [path.name for path in folder_of(make()).parent.iterdir()] == ["tls"]


@pytest.mark.usefixtures("umask")
def test_others_can_read_all_but_the_key(make: Callable[..., Config], tmp_path: Path) -> None:
    config = make(tls_dir=str(tmp_path / "new" / "certs" / "tls"))
    authority(config, now=NOW)
    assert modes(folder_of(config)) == OPEN
    assert modes(tmp_path / "new") == {".": 0o755, "certs": 0o755}


def test_folder_that_exists_keeps_its_mode(make: Callable[..., Config], tmp_path: Path) -> None:
    tmp_path.chmod(0o710)
    authority(make(), now=NOW)
    assert modes(tmp_path) == {".": 0o710, "tls": 0o755}


def make_earlier(config: Config) -> bytes:
    """Make an authority as version 0.1.0 did; returns its certificate."""
    made, folder = authority(config, now=NOW), folder_of(config)
    builder = (
        x509.CertificateBuilder()
        .subject_name(made.certificate.subject)
        .issuer_name(made.certificate.issuer)
        .public_key(made.key.public_key())
        .serial_number(made.certificate.serial_number)
        .not_valid_before(made.certificate.not_valid_before_utc)
        .not_valid_after(made.certificate.not_valid_after_utc)
    )
    for one in made.certificate.extensions:
        value: x509.ExtensionType = one.value
        if isinstance(value, x509.NameConstraints):
            kinds = (x509.DNSName, x509.IPAddress)
            of_these = [name for name in value.permitted_subtrees or () if isinstance(name, kinds)]
            value = x509.NameConstraints(of_these, None)
        if not isinstance(value, x509.ExtendedKeyUsage):
            builder = builder.add_extension(value, one.critical)
    content = builder.sign(made.key, SHA256()).public_bytes(Encoding.PEM)
    (folder / "ca.pem").write_bytes(content)
    (folder / "ca.pem").chmod(0o600)  # under umask 077
    folder.chmod(0o700)
    return content


def test_authority_of_an_earlier_version_is_used_on_and_opened(make: Callable[..., Config]) -> None:
    trusted = make_earlier(make())
    server_context(make(), now=NOW)
    assert path_of(make()).read_bytes() == trusted
    assert modes(folder_of(make())) == OPEN


def test_folder_of_an_earlier_version_with_other_things_in_it_stays_closed(
    make: Callable[..., Config],
) -> None:
    make_earlier(make())
    (folder_of(make()) / "mine.txt").write_text("")
    authority(make(), now=NOW)
    assert modes(folder_of(make()))["."] == 0o700


def test_folder_that_its_owner_closed_stays_closed(make: Callable[..., Config]) -> None:
    authority(make(), now=NOW)
    folder_of(make()).chmod(0o700)
    authority(make(), now=NOW)
    assert modes(folder_of(make())) == {**OPEN, ".": 0o700}


def test_key_that_others_could_read_is_its_owners_again(make: Callable[..., Config]) -> None:
    authority(make(), now=NOW)
    (folder_of(make()) / "ca.key").chmod(0o644)
    authority(make(), now=NOW)
    assert modes(folder_of(make())) == OPEN


def test_authority_signs_for_a_few_names_only_and_nothing_signs_below_it(
    make: Callable[..., Config],
) -> None:
    made = authority(make(), now=NOW).certificate
    constraints = extension(made, x509.NameConstraints)
    assert constraints.critical
    assert [str(name.value) for name in constraints.value.permitted_subtrees] == [
        "astria.ai",
        "localhost",
        "127.0.0.0/8",
        "::1/128",
        "invalid",
        "invalid",
    ]
    assert constraints.value.excluded_subtrees == [
        x509.RFC822Name("invalid"),
        x509.UniformResourceIdentifier("invalid"),
    ]
    basic = extension(made, x509.BasicConstraints)
    assert (basic.critical, basic.value.ca, basic.value.path_length) == (True, True, 0)
    usage = extension(made, x509.KeyUsage).value
    assert (usage.key_cert_sign, usage.digital_signature) == (True, False)
    assert list(extension(made, x509.ExtendedKeyUsage).value) == [x509.OID_SERVER_AUTH]


def test_authority_is_for_the_names_that_it_was_made_for(make: Callable[..., Config]) -> None:
    config = make(public_url="https://astria.staging.test:8443", host="10.1.2.3", keys=("sd_a",))
    authority(config, now=NOW)
    assert {"astria.staging.test", "10.1.2.3"} <= set(names_of(config))
    server_context(config, now=NOW)
    server_context(make(), now=NOW)
    for other in (make(public_url="https://other.test"), make(host="10.9.9.9", keys=("sd_a",))):
        with pytest.raises(SetupError, match=r"cannot vouch for (other\.test|10\.9\.9\.9)"):
            server_context(other, now=NOW)


def test_any_address_is_no_name(make: Callable[..., Config]) -> None:
    assert "0.0.0.0" not in names_of(make(host="0.0.0.0", keys=("sd_a",)))


def test_authority_that_has_expired_is_told(make: Callable[..., Config]) -> None:
    authority(make(), now=NOW)
    server_context(make(), now=NOW + 3000 * DAY)
    with pytest.raises(SetupError, match="has expired"):
        server_context(make(), now=NOW + 3660 * DAY)


@pytest.mark.parametrize("what", ["ca.pem", "ca.key"])
def test_authority_that_cannot_be_read_is_told(what: str, make: Callable[..., Config]) -> None:
    authority(make(), now=NOW)
    (folder_of(make()) / what).write_text("nonsense")
    with pytest.raises(SetupError, match=str(folder_of(make()))):
        authority(make(), now=NOW)


def test_certificate_that_is_not_ours_is_told(make: Callable[..., Config]) -> None:
    own = authority(make(), now=NOW)
    name = own.certificate.subject
    other = (
        x509.CertificateBuilder(name, name, own.key.public_key(), 1, NOW, NOW + DAY)
        .sign(own.key, SHA256())
        .public_bytes(Encoding.PEM)
    )
    path_of(make()).write_bytes(other)
    with pytest.raises(SetupError, match=str(folder_of(make()))):
        authority(make(), now=NOW)


def test_folder_with_other_things_in_it_is_left_alone(make: Callable[..., Config]) -> None:
    folder = folder_of(make())
    folder.mkdir()
    (folder / "mine.txt").write_text("")
    with pytest.raises(SetupError, match="not empty"):
        authority(make(), now=NOW)
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


def test_those_who_start_at_once_share_one_authority(
    make: Callable[..., Config], tmp_path: Path
) -> None:
    config = make(tls_dir=str(tmp_path / "new" / "certs" / "tls"))
    ready = threading.Barrier(4)
    found: list[int] = []

    def start() -> None:
        ready.wait(PATIENCE_SECONDS)
        found.append(authority(config, now=NOW).certificate.serial_number)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert [path.name for path in folder_of(config).parent.iterdir()] == ["tls"]


def test_servers_certificate_is_short_lived_and_for_serving(
    make: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    from astria_emulator.server import certificates

    chains: list[bytes] = []
    real = certificates._server_chain
    monkeypatch.setattr(
        certificates, "_server_chain", lambda *given: chains.append(real(*given)) or chains[-1]
    )
    server_context(make(), now=NOW)
    made, by = x509.load_pem_x509_certificates(chains[0])
    made.verify_directly_issued_by(by)
    assert by == authority(make(), now=NOW).certificate
    assert made.not_valid_after_utc - made.not_valid_before_utc == 397 * DAY
    for one in (made, by):  # they are valid by a clock that has been set back since
        assert one.not_valid_before_utc <= NOW - timedelta(hours=2)
    names = extension(made, x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [
        "api.astria.ai",
        "www.astria.ai",
        "localhost",
        "*.localhost",
    ]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address("127.0.0.1"), ip_address("::1")]
    assert not extension(made, x509.BasicConstraints).value.ca
    assert x509.OID_SERVER_AUTH in extension(made, x509.ExtendedKeyUsage).value


def test_default_folder_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert path_of(Config()) == tmp_path / "astria-emulator" / "tls" / "ca.pem"


# -- the command -----------------------------------------------------------------------------------
def test_ca_makes_the_authority_and_tells_how_to_trust_it(tmp_path: Path) -> None:
    told = CliRunner().invoke(main, ["ca", "--tls-dir", str(tmp_path / "tls")])
    path = tmp_path / "tls" / "ca.pem"
    assert (told.exit_code, path.exists()) == (0, True)
    for word in ("NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "127.0.0.1 api.astria.ai", "aliases"):
        assert word in told.output
    assert f"={path}" in told.output
    alone = CliRunner().invoke(main, ["ca", "--path", "--tls-dir", str(tmp_path / "tls")])
    assert alone.output == f"{path}\n"


def test_package_that_is_missing_is_told_with_its_extra(tmp_path: Path) -> None:
    code = "import sys; sys.modules['cryptography'] = None\n"
    code += "from astria_emulator.__main__ import run; sys.argv[1:] = ['ca']; run()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env={}
    )
    assert done.returncode == 2
    assert "astria-emulator[tls]" in done.stderr
