"""``python -m darts_lite``."""

from darts_lite.cli.main import main

if __name__ == "__main__":
    main()
