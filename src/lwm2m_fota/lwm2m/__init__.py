"""LwM2M without I/O: operations, dispatch, registration, and the firmware object as an embedding interface."""
