"""The device side: the client, the firmware object and the installer."""
