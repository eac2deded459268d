"""The Flask extensions. :mod:`bookingapp.factory` binds them to the application."""

from __future__ import annotations

from flask_compress import Compress
from flask_limiter import Limiter
from flask_migrate import Migrate

from bookingapp.core.csrf import FormProtection
from bookingapp.core.visitors import visitor_address

compress = Compress()
csrf = FormProtection()
limiter = Limiter(visitor_address)
migrate = Migrate()
