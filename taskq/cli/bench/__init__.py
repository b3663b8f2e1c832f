"""`taskq bench`: a namespace of its own, a worker of its own, figures, and what limits them."""
