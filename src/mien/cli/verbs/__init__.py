"""The verbs of the `mien` command, one module each: parse the options, make one call, print."""
