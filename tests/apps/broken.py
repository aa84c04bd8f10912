"""A module whose import ends in an exception, as a site does whose settings are wrong."""

raise RuntimeError("broken on purpose, at import")
