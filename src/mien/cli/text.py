"""Text from outside, such as file names, made safe for one line of a terminal."""


def one_line(text: str) -> str:
    """Write line breaks, escape sequences and bytes that are no UTF-8 as what they are, like `\\n`."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
