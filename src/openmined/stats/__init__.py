"""A public, read-only window on Sonar: a reorg-safe index of its events, and an API over it."""
