"""Run the `mien` command by `python -m mien`."""

from mien.cli import main

if __name__ == "__main__":
    main()
