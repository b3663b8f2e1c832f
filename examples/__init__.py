"""Programs that use taskq; each runs as a test."""
