#!/bin/sh
# One backup of the database of DATABASE_URL (else of the SQLite file in INSTANCE_DIR) into the folder that is given.
# The application may run meanwhile: both ways read one consistent state. docs/deploy.md has the way back.
set -eu
umask 077

folder=${1:?usage: backup.sh FOLDER}
name=bookingapp-$(date -u +%Y%m%dT%H%M%SZ)
url=${DATABASE_URL:-}

# It gets its own name last, so that no half of a backup is taken for a whole one.
case $url in
    "" | sqlite:*)
        file=${url#sqlite:///}
        file=${file:-${INSTANCE_DIR:-instance}/bookingapp.sqlite3}
        [ -s "$file" ] || { echo "backup.sh: no database at $file" >&2; exit 1; }
        # A copy of the file would lack what is still in its log, and ".backup" begins anew whenever somebody writes.
        sqlite3 "$file" ".timeout 10000" "vacuum into '$folder/.$name'"
        sync "$folder/.$name"
        mv "$folder/.$name" "$folder/$name.sqlite3"
        echo "$folder/$name.sqlite3"
        ;;
    *)
        # What is on a command line, everybody on the machine can read.
        PGPASSWORD=$(python3 -c 'import os, urllib.parse as u; print(u.unquote(u.urlsplit(os.environ["DATABASE_URL"]).password or ""))')
        [ -z "$PGPASSWORD" ] || export PGPASSWORD
        # PostgreSQL's own programs know no driver, so postgresql+psycopg:// is not for them.
        url=postgresql://$(printf %s "${url#*://}" | sed 's|^\([^/?@:]*\):[^@]*@|\1@|')
        pg_dump --format=custom --no-owner --dbname="$url" --file="$folder/.$name"
        mv "$folder/.$name" "$folder/$name.dump"
        echo "$folder/$name.dump"
        ;;
esac
