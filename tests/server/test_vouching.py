"""What programs accept of what the authority could sign: certificates of servers, and no others."""

import json
import shutil
import ssl
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage
from cryptography.x509.oid import NameOID

from astria_emulator import Config
from astria_emulator.server.certificates import authority, path_of
from tests import PATIENCE_SECONDS

LOCALHOST = x509.DNSName("localhost")


class Signed(NamedTuple):
    """A certificate of the authority and its key, in one file; the authority's beside it."""

    path: Path
    authority: Path


@pytest.fixture
def sign(tmp_path: Path) -> Callable[..., Signed]:
    """Signs whatever it is asked to, as somebody could who stole the authority's key."""
    config = Config(tls=True, tls_dir=str(tmp_path / "tls"))

    def make(*names: x509.GeneralName, usage: x509.ObjectIdentifier = Usage.SERVER_AUTH) -> Signed:
        issuer, key, now = authority(config), generate_private_key(SECP256R1()), datetime.now(UTC)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "leaf")])
        leaf = (
            x509.CertificateBuilder(issuer.certificate.subject, subject, key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([LOCALHOST, *names]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(identifier, critical=False)
            .sign(issuer.key, SHA256())
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path = tmp_path / "leaf.pem"
        path.write_bytes(private + leaf.public_bytes(Encoding.PEM))
        return Signed(path, path_of(config))

    return make


def openssl(signed: Signed, *flags: str) -> str | None:
    """What openssl has against a certificate; None where it accepts it."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    command = ["openssl", "verify", "-x509_strict", *flags, "-CAfile", str(signed.authority)]
    done = subprocess.run([*command, str(signed.path)], capture_output=True, text=True)
    return done.stderr if done.returncode else None


def python(server: ssl.SSLContext, client: ssl.SSLContext) -> str | None:
    """What one of them has against the other's certificate, by a handshake in memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname="localhost"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    try:
        for _ in range(3):
            for end in ends:
                try:
                    end.do_handshake()
                except ssl.SSLWantReadError:
                    continue
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    assert ends[0].version()
    return None


def as_server(signed: Signed) -> str | None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(signed.path)
    client = ssl.create_default_context(cafile=str(signed.authority))
    client.verify_flags |= ssl.VERIFY_X509_STRICT  # which newer versions of Python set
    return python(server, client)


def as_client(signed: Signed) -> str | None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(signed.authority))
    server.load_cert_chain(signed.path)
    server.verify_mode = ssl.CERT_REQUIRED
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    client.load_cert_chain(signed.path)
    return python(server, client)


NODE = """
const fs = require("fs"), tls = require("tls");
const [leaf, ca] = process.argv.slice(1).map((path) => fs.readFileSync(path));
const server = tls.createServer({key: leaf, cert: leaf}).on("tlsClientError", () => {});
const end = (told) => { console.log(JSON.stringify(told)); server.close(); };
server.listen(0, "127.0.0.1", () => {
  const socket = tls.connect({port: server.address().port, servername: "localhost", ca});
  socket.on("secureConnect", () => { end(null); socket.destroy(); });
  socket.on("error", (error) => end(error.message));
});
"""


def node(signed: Signed) -> str | None:
    if not shutil.which("node"):
        pytest.skip("node is not installed")
    command = ["node", "-e", NODE, str(signed.path), str(signed.authority)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    told: str | None = json.loads(done.stdout)
    return told


@pytest.mark.parametrize("client", [openssl, as_server, node])
def test_server_of_a_permitted_name_is_accepted(
    client: Callable[[Signed], str | None], sign: Callable[..., Signed]
) -> None:
    assert client(sign(x509.DNSName("api.astria.ai"))) is None


@pytest.mark.parametrize("client", [openssl, as_server, node])
@pytest.mark.parametrize(
    "name",
    [
        x509.DNSName("example.com"),
        x509.RFC822Name("jane@astria.ai"),
        x509.RFC822Name("jane@invalid"),
        x509.RFC822Name("jane@mail.invalid"),
        x509.UniformResourceIdentifier("https://api.astria.ai/"),
        x509.UniformResourceIdentifier("spiffe://invalid/jane"),
        x509.UniformResourceIdentifier("https://www.invalid/"),
    ],
    ids=lambda name: name.value,
)
def test_other_names_are_refused(
    name: x509.GeneralName,
    client: Callable[[Signed], str | None],
    sign: Callable[..., Signed],
) -> None:
    assert "subtree violation" in (client(sign(name)) or "")


@pytest.mark.parametrize(
    ("purpose", "usage"),
    [
        ("sslclient", Usage.CLIENT_AUTH),
        ("smimesign", Usage.EMAIL_PROTECTION),
        ("smimeencrypt", Usage.EMAIL_PROTECTION),
    ],
)
def test_certificate_for_another_purpose_is_refused(
    purpose: str, usage: x509.ObjectIdentifier, sign: Callable[..., Signed]
) -> None:
    assert " at 1 depth" in (openssl(sign(usage=usage), "-purpose", purpose) or "")


def test_client_is_not_let_in_by_the_authority(sign: Callable[..., Signed]) -> None:
    assert as_client(sign(usage=Usage.CLIENT_AUTH))
