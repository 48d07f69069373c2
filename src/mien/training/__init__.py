"""The training rail: the only part of mien that imports Keras (`pip install 'mien[train]'`)."""
