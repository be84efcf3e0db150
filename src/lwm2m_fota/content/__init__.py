"""LwM2M content formats: payloads to and from `Entries`, by `codec.encode` and `codec.decode`."""
