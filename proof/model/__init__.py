"""The explicit-state explorer: device x server x network x restarts x users, in every state that can be reached."""
