"""The Flask extensions. :mod:`bookingapp.factory` binds them to the application."""

from __future__ import annotations

from flask_compress import Compress
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_migrate import Migrate

from bookingapp.core.csrf import FormProtection

compress = Compress()
csrf = FormProtection()
limiter = Limiter(get_remote_address)
migrate = Migrate()
