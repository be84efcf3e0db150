"""SUIT manifests (draft-ietf-suit-manifest-37), and manifests that depend on others.

`codes` has the code points. `envelope` splits envelopes while they arrive, `members` takes what comes of them in order,
`authentication` says who signed, `manifest` and `commands` what it is about. `processor` runs the commands over what
components would hold (`content`, `machine`), `resolution` does so for all manifests of a package; `plan` is what comes
of it, `payloads` compares what arrives, and `format` puts it together. `make` creates envelopes, `profiles` has sets of
algorithms for that.
"""
