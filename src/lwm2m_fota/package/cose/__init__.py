"""COSE: messages that are signed, authenticated or encrypted, and keys (RFC 9052, RFC 9053, RFC 9864).

`message` reads them, `authenticate` tries the keys of a policy, `decrypt` opens what is encrypted, `create` makes
messages, `key` reads and writes COSE_Key.
"""
