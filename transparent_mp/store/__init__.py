"""The only importer of redis: links, keys, scripts, leases, sessions."""
