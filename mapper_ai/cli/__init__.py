"""The `mapper` command line: one module a command group, imported when the command is asked for."""
