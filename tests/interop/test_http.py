"""curl against our HTTP host, and our fetcher against nginx: ranges, conditions, resuming, TLS."""

import asyncio
import os
import socket
from types import SimpleNamespace

import pytest

from lwm2m_fota.credentials.keyring import Held, Keyring
from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.credentials.values import Certificate
from lwm2m_fota.errors import ResponseError, TransportError
from lwm2m_fota.lwm2m.operations import Write
from lwm2m_fota.model.paths import Path
from lwm2m_fota.storage.memory import MemoryPackageSource
from lwm2m_fota.web.fetcher import HttpFetcher
from lwm2m_fota.web.host import HttpPackageHost

pytestmark = pytest.mark.interop

SCHEMES = ["http", "https"]
each_scheme = pytest.mark.parametrize("scheme", SCHEMES)
PACKAGE_URI = Path.of(5, 0, 1)


@pytest.fixture
def papers(tmp_path, authority):
    """Certificates of a host and of a device."""
    host, device = authority.sign("host", ["127.0.0.1"]), authority.sign("device-1")
    roots = tmp_path / "roots.pem"
    roots.write_bytes(authority.certificate)

    def credential(signed):
        return Certificate(chain_pem=signed.chain, key_pem=Secret(signed.key), roots_pem=authority.certificate)

    return SimpleNamespace(
        roots=roots,
        host=credential(host),
        host_files=host.write(tmp_path, "host"),
        device=credential(device),
        device_files=device.write(tmp_path, "device"),
        fetcher=HttpFetcher(Keyring([Held(None, credential(device))])),
    )


# -- curl


@pytest.fixture
def curl(run_program, tmp_path, papers):
    """`await curl("-r", "0-9", uri)` runs curl: what it writes to its file, and the status."""

    async def go(*arguments, trust=True):
        output = tmp_path / "output"
        secure = ("--cacert", papers.roots) if trust else ()
        said = await run_program(
            "curl", "-sS", "-m", 10, "-o", output, "-w", "%{http_code}", "--noproxy", "*", *secure, *arguments
        )
        return SimpleNamespace(status=said[-3:], body=output.read_bytes() if output.exists() else b"", said=said)

    return go


def hosting(papers, scheme, **options):
    return HttpPackageHost(certificate=papers.host if scheme == "https" else None, **options)


@each_scheme
def test_curl_fetches_and_resumes(run, papers, curl, met, package, tmp_path, scheme):
    image = package(200_000)

    async def main():
        async with hosting(papers, scheme) as host:
            uri = host.publish(MemoryPackageSource(image), scheme, lambda _: None).uri
            assert (await curl(uri)).body == image
            (tmp_path / "output").write_bytes(image[:70_001])
            resumed = await curl("-C", "-", uri)
            assert (resumed.status, resumed.body) == ("206", image)
            part = await curl("-r", "5-9", uri)
            assert (part.status, part.body) == ("206", image[5:10])

    run(main())
    met("curl", scheme, "fetches and resumes", "equal bytes")


@each_scheme
def test_curl_is_told_that_the_package_has_changed(run, papers, curl, met, package, scheme):
    image = package(20_000)

    async def main():
        async with hosting(papers, scheme) as host:
            uri = host.publish(MemoryPackageSource(image), scheme, lambda _: None).uri
            assert (await curl("-H", 'If-Match: "other"', "-r", "5-", uri)).status == "412"
            whole = await curl("-H", 'If-Range: "other"', "-r", "5-", uri)
            assert (whole.status, whole.body) == ("200", image)

    run(main())
    met("curl", scheme, "asks for the rest of another version", "412, or the whole")


def test_curl_believes_nobody_else_and_shows_a_certificate(run, papers, curl, met, package):
    image = package(20_000)

    async def main():
        async with hosting(papers, "https", demand_certificate=True) as host:
            uri = host.publish(MemoryPackageSource(image), "https", lambda _: None).uri
            certificate, key = papers.device_files
            assert (await curl("--cert", certificate, "--key", key, uri)).body == image
            assert (await curl(uri)).status == "000"
            assert (await curl("--cert", certificate, "--key", key, uri, trust=False)).status == "000"

    run(main())
    met("curl", "https", "fetches with a certificate", "equal bytes")
    met("curl", "https", "without a certificate where one is demanded", "refused")


# -- nginx


CONFIGURATION = """
{user} daemon off; pid {folder}/nginx.pid; worker_processes 1; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5; etag on;
  server {{
    listen 127.0.0.1:{port}; root {folder}/www;
  }}
  server {{
    listen 127.0.0.1:{secure_port} ssl; root {folder}/www;
    ssl_certificate {certificate}; ssl_certificate_key {key};
    ssl_client_certificate {roots}; ssl_verify_client on;
  }}
}}
"""


class Nginx:
    """nginx as an origin of files: `publish(b"...")` is where these bytes are."""

    def __init__(self, process, folder, papers):
        self._process, self._folder = process, folder
        with socket.socket() as first, socket.socket() as second:
            for each in (first, second):
                each.bind(("127.0.0.1", 0))
            self._ports = {"http": first.getsockname()[1], "https": second.getsockname()[1]}
        (folder / "www").mkdir()
        certificate, key = papers.host_files
        text = CONFIGURATION.format(
            user="user root;" if os.getuid() == 0 else "",  # who may read the folder of the test
            folder=folder, port=self._ports["http"], secure_port=self._ports["https"],
            certificate=certificate, key=key, roots=papers.roots,
        )  # fmt: skip
        (folder / "nginx.conf").write_text(text)

    async def __aenter__(self):
        self._running = self._process("nginx", "-p", self._folder, "-c", self._folder / "nginx.conf")
        await self._running.__aenter__()
        for port in self._ports.values():
            await self._answers(port)
        return self

    async def _answers(self, port):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                assert self._running.popen.returncode is None, (self._folder / "error.log").read_text()
                await asyncio.sleep(0.01)
                continue
            writer.close()
            return

    async def __aexit__(self, *_):
        self._running.popen.terminate()
        await self._running.popen.communicate()

    def publish(self, data, scheme, name="fw"):
        new = self._folder / "www" / "new"
        new.write_bytes(data)
        new.replace(self._folder / "www" / name)
        return f"{scheme}://127.0.0.1:{self._ports[scheme]}/{name}"


@pytest.fixture
def nginx(run_process, tmp_path, papers):
    return lambda: Nginx(run_process, tmp_path, papers)


@each_scheme
def test_we_fetch_from_nginx_and_resume(run, nginx, papers, met, sink, package, scheme):
    image = package(200_000)

    async def main():
        async with nginx() as origin:
            uri = origin.publish(image, scheme)
            sink.stop_at = 70_000
            with pytest.raises(ResponseError, match="stopped"):
                await papers.fetcher.fetch(uri, sink, offset=0, etag=None)
            offset, sink.stop_at = len(sink.data), None
            (etag,) = set(sink.etags)
            assert etag
            assert 0 < offset < len(image)
            sink.lengths.clear()
            await papers.fetcher.fetch(uri, sink, offset=offset, etag=etag)
            assert (sink.data, sink.restarts, sink.is_complete) == (image, 0, True)
            assert sum(sink.lengths) == len(image) - offset

    run(main())
    met("nginx", scheme, "we fetch and resume", "equal bytes")


@each_scheme
def test_a_package_that_changed_at_nginx_is_412(run, nginx, papers, met, sink, package, scheme):
    old, new = package(200_000), package(150_000, "2.0.0")

    async def main():
        async with nginx() as origin:
            uri = origin.publish(old, scheme)
            sink.stop_at = 50_000
            with pytest.raises(ResponseError, match="stopped"):
                await papers.fetcher.fetch(uri, sink, offset=0, etag=None)
            origin.publish(new, scheme)
            with pytest.raises(ResponseError) as caught:
                await papers.fetcher.fetch(uri, sink, offset=len(sink.data), etag=sink.etags[0])
            assert caught.value.response_code == 0x8C

    run(main())
    met("nginx", scheme, "we ask for the rest of another version", "412")


@each_scheme
def test_our_device_pulls_from_nginx(run, nginx, board, papers, met, package, scheme):
    image = package(200_000)

    async def main():
        async with nginx() as origin, board(fetchers=(papers.fetcher,)) as device:
            uri = origin.publish(image, scheme)
            downloaded = device.state_reached(2)
            device.firmware.handle(Write(PACKAGE_URI, [(PACKAGE_URI, uri)]), asyncio.get_running_loop().time())
            await downloaded
            assert device.firmware.staged_bytes == len(image)

    run(main())
    met("nginx", scheme, "our device pulls", "verified package")


def test_our_device_begins_anew_when_the_package_changes_at_nginx(run, nginx, board, papers, met, package):
    old, new = package(200_000), package(150_000, "2.0.0")
    origins = []

    class Cut:
        """A fetcher whose first connection breaks off, and there is another version then."""

        schemes = frozenset({"http"})
        resolve = papers.fetcher.resolve
        cut = False

        async def fetch(self, uri, sink, *, offset, etag):
            def block(at, payload, **more):
                sink.block(at, payload, **more)
                if at > 50_000 and not self.cut:
                    self.cut = True
                    origins[0].publish(new, "http")
                    raise TransportError("cut")

            cutting = SimpleNamespace(block=block, restarted=sink.restarted)
            await papers.fetcher.fetch(uri, cutting, offset=offset, etag=etag)

    async def main():
        async with nginx() as origin, board(fetchers=(Cut(),)) as device:
            origins.append(origin)
            uri = origin.publish(old, "http")
            downloaded = device.state_reached(2)
            device.firmware.handle(Write(PACKAGE_URI, [(PACKAGE_URI, uri)]), asyncio.get_running_loop().time())
            await downloaded
            assert device.firmware.staged_bytes == len(new)

    run(main())
    met("nginx", "http", "the package changes in mid-pull", "the new one, whole")


def test_nginx_demands_a_certificate_that_we_lack(run, nginx, papers, met, sink, authority, package):
    fetcher = HttpFetcher(Keyring([Held(None, Certificate(roots_pem=authority.certificate))]))

    async def main():
        async with nginx() as origin:
            with pytest.raises((ResponseError, TransportError)) as caught:
                await fetcher.fetch(origin.publish(package(), "https"), sink, offset=0, etag=None)
            return caught.value

    assert getattr(run(main()), "response_code", 0x80) == 0x80
    met("nginx", "https", "without a certificate where one is demanded", "refused")


@each_scheme
def test_what_is_not_at_nginx_is_an_error_with_its_code(run, nginx, papers, met, sink, scheme, package):
    async def main():
        async with nginx() as origin:
            uri = origin.publish(package(), scheme) + "/nothing"
            with pytest.raises(ResponseError) as caught:
                await papers.fetcher.fetch(uri, sink, offset=0, etag=None)
            assert caught.value.response_code == 0x84

    run(main())
    met("nginx", scheme, "what is not there", "4.04")
