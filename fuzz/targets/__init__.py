"""All targets: to import this is to have them. A new module is named here."""

from fuzz.targets import cbor, coap, content, lwm2m, packages, suit, transport

__all__ = ["cbor", "coap", "content", "lwm2m", "packages", "suit", "transport"]
