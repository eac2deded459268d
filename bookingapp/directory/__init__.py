"""The directory: searching, filtering and paging the builders in the database. Nothing here calls a provider."""
