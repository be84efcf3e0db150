"""What a package is, and whether to trust it: bytes in, a verified type out."""
