"""The command `lwm2m-fota` (extra `cli`)."""

from lwm2m_fota.errors import MissingExtraError


def main() -> None:
    """Run the command line.

    Raises:
        MissingExtraError: click or rich is not installed.
    """
    try:
        import click  # noqa: F401, PLC0415 - the import is the check
        import rich  # noqa: F401, PLC0415
    except ImportError as error:
        raise MissingExtraError("the command line needs: pip install 'lwm2m-fota[cli]'") from error
    from lwm2m_fota.cli.app import cli  # noqa: PLC0415 - only once its libraries are known to be there

    cli()
