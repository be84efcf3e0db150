"""CoAP without I/O: messages, their timing, block-wise transfer and URIs (RFC 7252, 7641, 7959).

`message` and `numbers` are the wire, `params` the times, `block` the block option, `block1` and `block2` the two
directions of a block-wise transfer, `uri` what a Package URI means.
"""
