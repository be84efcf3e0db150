"""Several package hosts as one."""

import pytest

from lwm2m_fota.errors import UsageError
from lwm2m_fota.server.hosts import PackageHosts
from lwm2m_fota.server.ports import Publication


class Host:
    def __init__(self, *schemes):
        self.schemes = schemes
        self.published = []
        self.withdrawn = []

    def publish(self, source, scheme, progress, token=None):
        self.published.append((source, scheme, token))
        return Publication(f"{scheme}://host/", "token")

    def withdraw(self, token):
        self.withdrawn.append(token)


def test_each_scheme_is_served_by_the_first_host_that_can():
    first, second = Host("coaps", "coap"), Host("http", "coap")
    hosts = PackageHosts([first, second])
    assert hosts.schemes == ("coaps", "coap", "http")
    for scheme in hosts.schemes:
        assert hosts.publish("source", scheme, None, "old").uri.startswith(f"{scheme}:")
    assert first.published == [("source", "coaps", "old"), ("source", "coap", "old")]
    assert second.published == [("source", "http", "old")]


def test_what_nobody_serves_is_refused():
    with pytest.raises(UsageError):
        PackageHosts([Host("coap")]).publish("source", "http", None)
    assert PackageHosts([]).schemes == ()


def test_all_hosts_withdraw():
    hosts = [Host("coap"), Host("http")]
    PackageHosts(hosts).withdraw("token")
    assert [host.withdrawn for host in hosts] == [["token"], ["token"]]
