"""The agent itself, asked again on the held-out prompts: the measure of how often it agrees with itself."""
