"""``python -m reasonkit``: the command line, without its console script."""

from reasonkit.cli import main

if __name__ == "__main__":
    main()
