"""What is measured: each file has functions that measure one system and answer numbers by the name of their figure."""
