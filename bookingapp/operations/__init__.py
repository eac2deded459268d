"""For whoever runs the application: is it alive, can it work."""
