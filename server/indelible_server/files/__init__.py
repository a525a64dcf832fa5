"""The metadata engine: tags in, tags out, and not one other byte of a file changed. Knows no database and no network."""
