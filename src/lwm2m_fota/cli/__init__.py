"""The command `lwm2m-fota` (extra `cli`)."""

import sys

from lwm2m_fota.errors import MissingExtraError


def require_extra() -> None:
    """Make sure that the libraries of the extra are there.

    Raises:
        MissingExtraError: click or rich is not installed.
    """
    try:
        import click  # noqa: F401, PLC0415 - the import is the check
        import rich  # noqa: F401, PLC0415
    except ImportError as error:
        raise MissingExtraError("the command line needs: pip install 'lwm2m-fota[cli]'") from error


def main() -> None:
    """Run the command line."""
    try:
        require_extra()
    except MissingExtraError as error:
        sys.exit(f"lwm2m-fota: {error}")  # one line to stderr, and status 1
    from lwm2m_fota.cli.app import cli  # noqa: PLC0415 - only once its libraries are known to be there

    cli(prog_name="lwm2m-fota")
