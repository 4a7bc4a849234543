"""The command line, `optcc`. Nothing heavy is imported before a command runs."""


def main() -> None:
    """Run the command line; does not return. An interrupt exits with 130, also one during imports."""
    try:
        from optcc.cli.app import main as run

        run()
    except KeyboardInterrupt:
        import os
        import sys

        sys.stderr.write("interrupted\n")
        sys.stderr.flush()
        os._exit(130)  # not in order: JAX, interrupted while it is imported, may not come down
