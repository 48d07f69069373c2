"""Use the machine: cores, threads and memory, the devices that run graphs, and what reaches the terminal."""
