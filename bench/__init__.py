"""The benchmarks: ``python -m bench`` prints one table. How to read it stands in ``README.md``."""
