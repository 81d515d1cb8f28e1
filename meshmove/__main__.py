"""``python -m meshmove``: the command line."""

from meshmove.cli.commands import main

if __name__ == "__main__":
    main()
