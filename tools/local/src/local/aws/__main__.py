"""`python -m local.aws`."""

from local.aws.server import main

main()
