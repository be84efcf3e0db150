"""CoAP without I/O: messages, reliability, observation and block-wise transfer, joined by an endpoint."""
