"""Every address over WSGI, each page read as HTML and checked on the way."""
