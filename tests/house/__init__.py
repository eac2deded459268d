"""The house rules: imports, settings page, migrations, guards, files, secrets."""
