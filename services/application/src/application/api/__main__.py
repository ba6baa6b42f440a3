"""``python -m application.api``."""

from application.api.main import main

if __name__ == "__main__":
    main()
