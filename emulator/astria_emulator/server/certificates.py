"""A local certificate authority, so that https://api.astria.ai can be served on this machine.

It is made once and stored, so that programs can trust it. It certifies only servers that have
Astria's names, this machine's, and those that it was made for. The server's certificate is made at
each start. Needs the extra `tls`.
"""

import os
import ssl
import stat
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from astria_emulator.config import ASTRIA_HOSTS, Config
from astria_emulator.errors import SetupError
from astria_emulator.storage.own_folders import TempFolder, publish_folder

LOCAL = ("localhost", "*.localhost", "127.0.0.1", "::1")
USUAL = ("astria.ai", "localhost", "127.0.0.0/8", "::1/128")  # that every authority may certify
# No server of these kinds of names can be certified: only what is permitted can be, and that is
# excluded. (To exclude the empty name would say the same, but OpenSSL overlooks it and Java refuses
# it. A `directoryName` would be refused by Go.)
NOWHERE = [x509.RFC822Name("invalid"), x509.UniformResourceIdentifier("invalid")]
CERTIFICATE, KEY = "ca.pem", "ca.key"
OPEN_FOLDER, OPEN_FILE, OWNERS_FILE = 0o755, 0o644, 0o600  # programs of other users read it
FOR_SERVERS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
AUTHORITY_DAYS = 3650
SERVER_DAYS = 397  # the longest that browsers accept
BACKDATED = timedelta(days=1)  # clocks differ, and are set back
USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
    *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


class Authority(NamedTuple):
    certificate: x509.Certificate
    key: EllipticCurvePrivateKey


def folder_of(config: Config) -> Path:
    """Return the folder of the authority."""
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(config.tls_dir or Path(home) / "astria-emulator" / "tls")


def path_of(config: Config) -> Path:
    """Return the path of the certificate that programs should trust."""
    return folder_of(config) / CERTIFICATE


def names_of(config: Config) -> tuple[str, ...]:
    """Return the names and addresses of the server's certificate."""
    public = urlsplit(config.public_url).hostname or ""
    own = [name for name in (config.host, public) if name and not _is_any(name)]
    return tuple(dict.fromkeys((*ASTRIA_HOSTS, *LOCAL, *own)))


def server_context(config: Config, *, now: datetime | None = None) -> ssl.SSLContext:
    """Return the TLS context of the server, with a new certificate.

    Raises SetupError.
    """
    now = now or datetime.now(UTC)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    chain = _server_chain(authority(config, now=now), names_of(config), now)
    folder = TempFolder("astria-tls-")  # ssl reads files only
    try:
        path = folder.path / "server.pem"
        _write(path, chain, OWNERS_FILE)
        context.load_cert_chain(path)
    finally:
        folder.erase()
    return context


def authority(config: Config, *, now: datetime | None = None) -> Authority:
    """Return the stored authority; make it where there is none.

    Raises SetupError.
    """
    folder, names, now = folder_of(config), names_of(config), now or datetime.now(UTC)
    try:
        if not (folder / CERTIFICATE).exists():
            _make_authority(folder, names, now)
        certificate = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
        key = load_pem_private_key((folder / KEY).read_bytes(), None)
        constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except (OSError, ValueError, x509.ExtensionNotFound) as error:
        raise SetupError("--tls-dir", [f"{folder}: {error}"]) from None
    if not isinstance(key, EllipticCurvePrivateKey):
        raise SetupError("--tls-dir", [f"{folder / KEY}: not a key of ours"])
    subtrees = [str(general.value) for general in constraints.permitted_subtrees or ()]
    problems = [f"cannot vouch for {name}" for name in names if not _covered(name, subtrees)]
    problems += ["has expired"] if certificate.not_valid_after_utc < now else []
    if problems:
        cure = f"remove {folder}, start again, and trust the new one"
        raise SetupError(f"the certificate authority in {folder}", [*problems, cure])
    _set_modes(folder, is_earlier=constraints.excluded_subtrees is None)
    return Authority(certificate, key)


def _make_authority(folder: Path, names: Iterable[str], now: datetime) -> None:
    """Make it atomically: when two processes try at once, both use the first one's."""
    key = generate_private_key(SECP256R1())
    title = _name("astria-emulator, for this machine only")
    usage = {name: name in ("key_cert_sign", "crl_sign") for name in USAGES}
    subtrees = x509.NameConstraints([*_permitted(names), *NOWHERE], NOWHERE)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    signed = (
        _builder(title, title, key.public_key(), now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(subtrees, critical=True)
        .add_extension(FOR_SERVERS, critical=False)
        .add_extension(identifier, critical=False)
        .sign(key, SHA256())
    )
    _make_folder(folder.parent)
    temporary = TempFolder(".tls-", parent=folder.parent)
    draft = temporary.path / "authority"
    try:
        draft.mkdir(mode=0o700)
        _write(draft / KEY, _private_pem(key), OWNERS_FILE)
        _write(draft / CERTIFICATE, signed.public_bytes(Encoding.PEM), OPEN_FILE)
        draft.chmod(OPEN_FOLDER)
        publish_folder(draft, folder)
    except OSError:
        if not (folder / CERTIFICATE).exists():
            raise


def _server_chain(issuer: Authority, names: Iterable[str], now: datetime) -> bytes:
    """Return a new key and its certificate for some names, in PEM."""
    key = generate_private_key(SECP256R1())
    issuer_key = issuer.key.public_key()
    signed = (
        _builder(
            _name(ASTRIA_HOSTS[0]), issuer.certificate.subject, key.public_key(), now, SERVER_DAYS
        )
        .add_extension(x509.SubjectAlternativeName(map(_general, names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(FOR_SERVERS, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False
        )
        .sign(issuer.key, SHA256())
    )
    certificates = [
        certificate.public_bytes(Encoding.PEM) for certificate in (signed, issuer.certificate)
    ]
    return b"".join([_private_pem(key), *certificates])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: EllipticCurvePublicKey,
    now: datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now - BACKDATED + timedelta(days=days))
    )


# -- names -----------------------------------------------------------------------------------------
def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general(name: str) -> x509.GeneralName:
    return x509.IPAddress(ip_address(name)) if _is_network(name) else x509.DNSName(name)


def _permitted(names: Iterable[str]) -> list[x509.GeneralName]:
    """Return what an authority may certify: the usual names, and those that it is made for."""
    others = [name for name in names if not _covered(name, USUAL)]
    return [_subtree(name) for name in (*USUAL, *others)]


def _subtree(name: str) -> x509.GeneralName:
    return x509.IPAddress(ip_network(name)) if _is_network(name) else x509.DNSName(name)


def _covered(name: str, subtrees: Iterable[str]) -> bool:
    if _is_network(name):
        networks = [ip_network(tree) for tree in subtrees if _is_network(tree)]
        return any(ip_address(name) in network for network in networks)
    return any(f".{name}".endswith(f".{tree}") for tree in subtrees)


def _is_network(name: str) -> bool:
    """Whether a name is an IP network or address."""
    try:
        ip_network(name)
    except ValueError:
        return False
    return True


def _is_any(host: str) -> bool:
    return _is_network(host) and ip_network(host).is_unspecified


# -- files -----------------------------------------------------------------------------------------
def _private_pem(key: EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a new file; its mode is the given one, whatever the umask."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    path.chmod(mode)


def _make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, readable to others."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        with suppress(FileExistsError):  # another server was quicker
            folder.mkdir()
            folder.chmod(OPEN_FOLDER)


def _set_modes(folder: Path, *, is_earlier: bool) -> None:
    """Keep the key its owner's, and open what an earlier version kept to its owner."""
    with suppress(OSError):  # somebody else's, or on a disk that is only read
        if stat.S_IMODE((folder / KEY).stat().st_mode) & 0o077:
            (folder / KEY).chmod(OWNERS_FILE)
        if is_earlier and {path.name for path in folder.iterdir()} == {CERTIFICATE, KEY}:
            (folder / CERTIFICATE).chmod(OPEN_FILE)
            folder.chmod(OPEN_FOLDER)
