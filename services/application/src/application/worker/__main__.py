"""``python -m application.worker``."""

from application.worker.main import main

if __name__ == "__main__":
    main()
