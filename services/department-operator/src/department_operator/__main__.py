"""`python -m department_operator`."""

from department_operator.main import main

main()
