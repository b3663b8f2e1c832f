"""The only importer of redis: the data model, the scripts, and the calls that run them."""
