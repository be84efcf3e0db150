"""The asyncio pump: feed a pure core, persist, carry its effects out, arm one timer."""
