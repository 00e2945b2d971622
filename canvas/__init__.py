"""Canvas: the front door. It opens every room and composes what needs two of them."""
