"""`python -m openmined.capsule`: the Capsule's commands alone, without loading the others."""

from openmined.capsule._cli import app

app(prog_name="openmined capsule")
