"""`python -m mien` is the `mien` command."""

from mien.cli import main

if __name__ == "__main__":
    main()
