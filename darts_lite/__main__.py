"""``python -m darts_lite``."""

from darts_lite.commands import main

if __name__ == "__main__":
    main()
