"""`python -m openmined.sonar.contract`: rebuild the artifact, or with `--check` compare it."""

import sys

from openmined.sonar.contract._build import main

if __name__ == "__main__":
    sys.exit(main())
