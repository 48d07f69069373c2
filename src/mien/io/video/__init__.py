"""Read and write videos with PyAV (`pip install 'mien[video]'`); read webcams; find hard cuts."""
