"""The metadata engine alone, without a server or a database: `indelibled file`."""
