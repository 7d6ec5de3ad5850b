#!/bin/bash
# Gives each role its password, once, when the database is made (the image of PostgreSQL calls it).
set -euo pipefail

for role in owner admin intake routing reporting pictures courier; do
    name=OTKLIK_${role^^}_PASSWORD
    psql --no-psqlrc --quiet --username=postgres --dbname=postgres --set=ON_ERROR_STOP=1 \
        --set="role=otklik_$role" --set="password=${!name}" <<< "alter role :\"role\" password :'password';"
done
