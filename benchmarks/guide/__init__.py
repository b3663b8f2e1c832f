"""The guide's kinds of work: one after another, in the standard library's own pools, and with taskq."""
