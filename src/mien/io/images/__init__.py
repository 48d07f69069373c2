"""Images of any kind and format, decoded to upright RGB within limits of size, memory and time."""
