"""Read labelled data as it is laid out: class folders, parts, tables; in a folder or an archive."""
