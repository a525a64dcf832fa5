"""The metadata engine: tags in, tags out, not one other byte of a file changed. It knows no database and no network."""
