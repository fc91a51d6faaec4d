"""``python -m darts_lite``."""

from darts_lite.cli.main import run_program

if __name__ == "__main__":
    run_program()
