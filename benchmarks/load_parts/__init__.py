"""What `load.py` and `faults.py` share: simulated raters over HTTP, and the servers that they meet."""
