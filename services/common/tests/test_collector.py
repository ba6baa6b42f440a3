"""What a service holds once it has started costs later collections nothing."""

import gc
import weakref

from common.collector import keep_what_is_held


class Held:
    """Something that a service holds."""


def test_what_is_held_is_not_looked_at_again_and_is_freed_when_nobody_refers_to_it() -> None:
    held = Held()
    keep_what_is_held()
    try:
        assert not any(each is held for each in gc.get_objects())
        freed = weakref.ref(held)
        del held
        assert freed() is None
    finally:
        gc.unfreeze()
