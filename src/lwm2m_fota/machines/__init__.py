"""The law: transition tables and pure steps of device, download and server update."""
