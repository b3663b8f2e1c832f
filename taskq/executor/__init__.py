"""`app.executor()`: a `concurrent.futures.Executor` whose workers are those of a TaskQ."""
