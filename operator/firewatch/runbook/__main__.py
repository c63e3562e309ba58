"""Entry point of ``firewatch`` and of the kubectl plugin ``kubectl-firewatch``."""

import sys

USAGE_ERROR = 2


def main() -> None:
    """Run the program; its packages are an extra that the operator's image does without."""
    try:
        from firewatch.runbook.cli import APP  # noqa: PLC0415 - see above
    except ModuleNotFoundError as error:
        sys.stderr.write(f"firewatch: {error}; pip install 'firewatch[cli]'\n")
        sys.exit(USAGE_ERROR)
    plugin = sys.argv[0].rpartition("/")[2].startswith("kubectl-")
    APP(prog_name="kubectl firewatch" if plugin else "firewatch")


if __name__ == "__main__":
    main()
