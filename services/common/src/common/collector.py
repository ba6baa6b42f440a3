"""Python's garbage collector, told what stays."""

import gc


def keep_what_is_held() -> None:
    """Leave all that is held now out of later collections; to be called when a service has started, or loaded data.

    A full collection looks at every object there is. After a service's imports that takes a tenth of a second, in which
    nothing is answered. What is kept out is still freed once nothing refers to it; only cycles of it would stay.
    """
    gc.collect()
    gc.freeze()
