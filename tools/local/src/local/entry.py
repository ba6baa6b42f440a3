"""Where the command `local` begins: before anything that takes long to import."""

import signal


def main() -> None:
    """Run the command. Ctrl-C while it is still being loaded ends it at once, without a word."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from local.main import app

    signal.signal(signal.SIGINT, signal.default_int_handler)
    app()


if __name__ == "__main__":
    main()
