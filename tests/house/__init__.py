"""The house rules: imports, settings page, migrations, files, secrets."""
