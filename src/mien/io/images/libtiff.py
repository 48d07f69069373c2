"""Keep libtiff, which Pillow decodes TIFF files with, from printing to standard error."""

from functools import cache
from pathlib import Path

import PIL


@cache
def silence_libtiff() -> bool:
    """Switch off the messages of libtiff in this process; return whether its library was found.

    What is wrong with a file is raised by Pillow anyway. libtiff would also print it, in the words of a C library and
    with the temporary name that Pillow gives to every file.
    """
    import ctypes.util  # some milliseconds, which only a TIFF is worth

    package = Path(PIL.__file__).parent
    bundled = [*package.parent.glob("pillow.libs/libtiff*"), *package.glob(".dylibs/libtiff*")]
    for name in (*map(str, bundled), ctypes.util.find_library("tiff") if not bundled else None):
        if name is None:
            continue
        try:
            library = ctypes.CDLL(name)
            for setter in (library.TIFFSetErrorHandler, library.TIFFSetWarningHandler):
                setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
                setter(None)
        except (OSError, AttributeError):
            continue
        return True
    return False
