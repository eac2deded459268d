"""The booking's life: acceptance scenarios about its time, over HTTP against the sandbox."""
