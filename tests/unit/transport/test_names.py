"""Names and addresses of hosts."""

import asyncio
import socket

import pytest

from lwm2m_fota.errors import InvalidUriError, TransportError
from lwm2m_fota.transport.names import bind_socket, prepare_listener, resolve_host


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


def test_what_connections_of_a_listener_send_leaves_at_once():
    """Or the end of a message waits for the acknowledgement of its beginning, which may take 40 ms."""

    async def main():
        with await bind_socket("127.0.0.1", 0, socket.SOCK_STREAM, prepare_listener) as listener:
            listener.settimeout(5)
            listener.listen()
            with socket.create_connection(listener.getsockname()), listener.accept()[0] as accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0

    asyncio.run(main())
