#!/bin/sh
# Starts the broker of compose.yaml with definitions.json, each user with the password of its secret: 48 hex digits, so that
# nothing in them means anything to sed or to JSON. The file with them lies in memory (/tmp is a tmpfs).
set -eu
umask 077
cp /definitions/definitions.json /tmp/definitions.json
for user in extractor coordinator worker operator; do
  password=$(cat "/run/secrets/broker-$user.password")
  case $password in *[!0-9a-f]* | '') echo "broker-$user.password: hex digits alone, please" >&2; exit 1 ;; esac
  sed -i "/\"name\": \"mfa-$user\"/,/\"hashing_algorithm\"/ { s/\"password_hash\": \"\"/\"password\": \"$password\"/; /\"hashing_algorithm\"/d; }" /tmp/definitions.json
done
exec docker-entrypoint.sh rabbitmq-server
