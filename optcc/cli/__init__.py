"""The command line, `optcc`. Nothing heavy is imported before a command runs."""

from optcc.cli.app import main as main
