"""`python -m lwm2m_fota.cli`."""

from lwm2m_fota.cli import main

main()
