"""A server's site on its own: requests in, responses out, without an endpoint."""

import asyncio

from lwm2m_fota.coap.message import Message, path_options
from lwm2m_fota.server.ports import Joined
from lwm2m_fota.server.site import ServerSite
from lwm2m_fota.storage.memory import MemoryPackageSource

GET, POST, CREATED, CONTENT, NOT_FOUND, BAD_OPTION = 0x01, 0x02, 0x41, 0x45, 0x84, 0x82
URI_QUERY = 15


def request(code, *path, query=(), payload=b"", extra=()):
    options = (*path_options(path), *((URI_QUERY, each) for each in query), *extra)
    return Message(0, code, 0, options=options, payload=payload)


def register(site, root="rd"):
    message = request(POST, root, query=(b"ep=one", b"lt=60"), payload=b"</5/0>")
    return site.handle(message, "peer", asyncio.get_running_loop().time())


def test_a_registration_is_told_and_found():
    async def main():
        events, presences = [], []
        site = ServerSite("coap://192.0.2.1", on_event=events.append)
        watch = site.watch("one", presences.append)
        answer = register(site)
        assert answer.code == CREATED
        await asyncio.sleep(0)
        registration = site.registration("one")
        assert (registration.peer, registration.lifetime_s) == ("peer", 60)
        assert [event.registration for event in events] == [registration]
        assert presences == [Joined(registration)]
        watch.cancel()
        site.registrations.stop()

    asyncio.run(main())


def test_its_root_is_a_choice():
    async def main():
        site = ServerSite("coap://192.0.2.1", root="lwm2m")
        assert register(site).code == NOT_FOUND
        assert register(site, "lwm2m").code == CREATED
        site.registrations.stop()

    asyncio.run(main())


def test_a_package_is_served_below_the_base_uri():
    async def main():
        blocks = []
        late = []
        site = ServerSite(lambda: late[0], on_block=blocks.append)
        late.append("coap://192.0.2.1:5685")
        publication = site.packages.publish(MemoryPackageSource(b"bytes"), "coap", lambda _: None)
        assert publication.uri == f"coap://192.0.2.1:5685/fw/{publication.token}"
        answer = site.handle(request(GET, "fw", publication.token), "peer", 0.0)
        assert (answer.code, answer.payload) == (CONTENT, b"bytes")
        assert [block.length for block in blocks] == [5]

    asyncio.run(main())


def test_whatever_is_wrong_becomes_an_error_code():
    async def main():
        site = ServerSite("coap://192.0.2.1")
        assert site.handle(request(GET), "peer", 0.0).code == NOT_FOUND
        assert site.handle(request(GET, "elsewhere"), "peer", 0.0).code == NOT_FOUND
        assert site.handle(request(POST, "rd", extra=((65001, b""),)), "peer", 0.0).code == BAD_OPTION
        not_utf8 = Message(0, GET, 0, options=((11, b"\xff"),))
        assert site.handle(not_utf8, "peer", 0.0).code >> 5 == 4

    asyncio.run(main())
