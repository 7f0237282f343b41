"""What to tell a developer whose programs shall trust the local certificate authority."""

from pathlib import Path

BRIEF = """\
Its certificates are signed by {path}. For programs to trust them:
  export NODE_EXTRA_CA_CERTS={path} REQUESTS_CA_BUNDLE={path} SSL_CERT_FILE={path}
For https://api.astria.ai to be served here: --port 443, and in the hosts file `127.0.0.1 api.astria.ai`.
`astria-emulator ca` tells more."""

FULL = """\
The certificate authority of this machine's emulator:

  {path}

It can vouch for servers only, and only for astria.ai, localhost, loopback addresses and the names that it
was made for, by `serve --tls` or by this command. Everybody on this machine can read it. Whoever trusts it
trusts whoever can read the key beside it, which is the user who made it.

Trust it in one program (each variable takes the place of, or adds to, the usual list):

  export NODE_EXTRA_CA_CERTS={path}      # Node.js: adds
  export REQUESTS_CA_BUNDLE={path}       # Python's requests: replaces
  export SSL_CERT_FILE={path}            # Python's httpx and ssl, Go, Ruby, curl: replaces
  curl --cacert {path} https://localhost:8417/tunes

Or on the whole machine:

  Debian, Ubuntu   sudo cp {path} /usr/local/share/ca-certificates/astria-emulator.crt && sudo update-ca-certificates
  macOS            sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain {path}
  Windows          certutil -addstore -f ROOT {path}

Programs that have https://api.astria.ai built in find the emulator there by the hosts file
(/etc/hosts, or C:\\Windows\\System32\\drivers\\etc\\hosts)

  127.0.0.1 api.astria.ai

and `astria-emulator serve --tls --port 443`. Ports below 1024 need root, or once
`sudo sysctl net.ipv4.ip_unprivileged_port_start=443`. In docker compose an alias does both:

  services:
    astria:
      command: astria-emulator serve --tls --host 0.0.0.0 --port 443 --keys sd_local --tls-dir /certs/astria
      volumes: [certs:/certs]
      networks: {{default: {{aliases: [api.astria.ai]}}}}
    app:
      environment: {{NODE_EXTRA_CA_CERTS: /certs/astria/ca.pem}}
      volumes: [certs:/certs]
  volumes: {{certs: {{}}}}"""


def brief(path: Path) -> str:
    return BRIEF.format(path=path)


def full(path: Path) -> str:
    return FULL.format(path=path)
