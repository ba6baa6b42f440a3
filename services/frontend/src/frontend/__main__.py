"""`python -m frontend`."""

from frontend.main import run

run()
