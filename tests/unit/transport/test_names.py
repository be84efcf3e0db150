"""Names and addresses of hosts."""

import asyncio
import socket

import pytest

from lwm2m_fota.errors import InvalidUriError, TransportError
from lwm2m_fota.transport.names import resolve_host


def resolved(host, port, **options):
    return asyncio.run(resolve_host(host, port, socket.SOCK_STREAM, **options))


def test_addresses_resolve_to_themselves():
    assert resolved("127.0.0.1", 80) == ("127.0.0.1", 80)
    assert resolved("127.0.0.1", 65535, family=socket.AF_INET) == ("127.0.0.1", 65535)


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("", 80),
        ("127.0.0.1", 0),
        ("127.0.0.1", 65536),
        ("a" * 64 + ".invalid", 80),
        ("a\0b", 80),
        ("nobody.invalid", 80),
    ],
)
def test_what_leads_nowhere(host, port):
    with pytest.raises(InvalidUriError):
        resolved(host, port)


def test_a_name_service_that_cannot_tell_is_another_matter(monkeypatch):
    async def busy(*_, **__):
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    async def main():
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", busy)
        with pytest.raises(TransportError, match="try again"):
            await resolve_host("busy.example", 80, socket.SOCK_STREAM)

    asyncio.run(main())
