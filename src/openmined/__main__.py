"""`python -m openmined` is the `openmined` command."""

from openmined.cli import main

if __name__ == "__main__":
    main()
