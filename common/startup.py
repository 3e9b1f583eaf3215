"""Startup: imported first, it keeps the garbage collector still until all is loaded.

What a module makes as it loads, it keeps. To look through that again and again, while it grows, took an eighth of the
time from the start to the first confirm. (Deletable.)
"""

import gc


def loaded() -> None:
    """All is loaded: collect from here on, and never look at what was there before."""
    gc.freeze()
    gc.enable()


gc.disable()
