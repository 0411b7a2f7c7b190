#!/bin/bash
# Gives each login of roles.sql the password of its secret. Run by the image of compose.yaml when the database is new.
# psql reads them from its input, where no list of processes shows them.
set -eu
for role in owner coordinator worker operator reader; do
  password=$(cat "/run/secrets/database-$role.password")
  case $password in *[!0-9a-f]* | '') echo "database-$role.password: hex digits alone, please" >&2; exit 1 ;; esac
  echo "ALTER ROLE mfa_$role PASSWORD '$password';"
done | psql -X -q -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB"
