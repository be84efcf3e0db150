"""The OMA cases on a device that registers here: `oma_bench.py PACKAGE VERSION ENDPOINT HOST PORT [CASE ...]`."""

import asyncio
import sys
from pathlib import Path

from lwm2m_fota import Lwm2mServer
from lwm2m_fota.testing.oma import CASES, Grade, Packages, Subject, packages_from, run_cases
from lwm2m_fota.transport.udp import UdpTransport


async def main(packages: Packages, endpoint: str, host: str, port: str, *numbers: str) -> int:
    """Wait for the device, run the cases, and give the exit code: 1 if one of them failed."""
    async with Lwm2mServer(UdpTransport(host, int(port))) as server:
        print(f"waiting for {endpoint} at {host} port {server.local_address[1]}", flush=True)
        await server.registered(endpoint)
        subject = Subject(gateway=server, endpoint=endpoint, packages=packages, host=server.packages)
        reports = await run_cases(subject, [int(each) for each in numbers] or CASES)
    for report in reports:
        print(report.case.number, report.case.title, report.grade.value, report.why, sep=" | ")
    return int(any(report.grade is Grade.FAILED for report in reports))


if __name__ == "__main__":
    _, package, version, *arguments = sys.argv
    sys.exit(asyncio.run(main(packages_from(Path(package).read_bytes(), version), *arguments)))
