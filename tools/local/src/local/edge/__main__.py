"""`python -m local.edge`."""

from local.edge.main import main

main()
