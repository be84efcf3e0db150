"""Who may talk to whom, and how it is proven: keys, certificates, identities, and where they are kept. No I/O."""
