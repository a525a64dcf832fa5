"""The program `indelible`: one file a group of commands, thin over the calls of the contract."""
