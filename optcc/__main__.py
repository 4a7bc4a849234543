"""`python -m optcc` is the command line."""

from optcc.cli import main

if __name__ == "__main__":
    main()
