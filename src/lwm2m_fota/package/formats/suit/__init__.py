"""SUIT manifests (draft-ietf-suit-manifest-37).

`codes` has the code points. `envelope` splits envelopes while they arrive, `members` takes what comes of them in order,
`authentication` says who signed, `manifest` and `commands` what it is about.
"""
