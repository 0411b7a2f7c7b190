#!/bin/sh
# Makes deploy/secrets/ for compose.yaml: an authority, certificates, passwords, the sealing key, a configuration a process.
#
#     sh deploy/make-secrets.sh TENANT CLIENT_ID APP_PEM
#
# It never overwrites: what is there stays. Files can be read in the containers, whoever runs there; on this machine only
# you (and root) can enter the folder. Copy sealing.key somewhere else, apart from the ledger: without it nothing can be
# opened, and nothing taken back.
set -eu
umask 077
tenant=${1:?TENANT, such as contoso.onmicrosoft.com} client=${2:?CLIENT_ID} app=${3:?the PEM file with certificate and key}
here=$(cd "$(dirname "$0")" && pwd)
[ ! -e "$here/secrets" ] || { echo "$here/secrets is there already; nothing was changed" >&2; exit 1; }
into=$(mktemp -d "$here/secrets.XXXXXX")
cd "$into"

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 825 -subj '/CN=mfa-migrate own authority' \
  -addext 'keyUsage=critical,keyCertSign,cRLSign' -keyout authority.key -out authority.pem 2>/dev/null
for host in broker database; do
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -subj "/CN=$host" -keyout $host.key -out $host.csr 2>/dev/null
  printf 'basicConstraints=critical,CA:FALSE\nsubjectAltName=DNS:%s\nextendedKeyUsage=serverAuth\n' $host >$host.ext
  openssl x509 -req -in $host.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 397 -extfile $host.ext -out $host.pem 2>/dev/null
  rm $host.csr $host.ext
done
rm -f authority.srl
head -c 32 /dev/urandom >sealing.key
cp "$app" app.pem
for name in broker-extractor broker-coordinator broker-worker broker-operator \
  database-owner database-coordinator database-worker database-operator database-reader database-superuser grafana-admin; do
  openssl rand -hex 24 | tr -d '\n' >$name.password
done

settings() { # PROCESS DATABASE_LOGIN BROKER_LOGIN
  [ "$2" = - ] || echo "ledger = \"postgres://mfa_$2:$(cat "database-$2.password")@database/moves?sslmode=verify-full&sslrootcert=/run/secrets/authority.pem\""
  [ "$3" = - ] || echo "broker = \"amqps://mfa-$3:$(cat "broker-$3.password")@broker/moves\""
  printf 'key_file = "/run/secrets/sealing.key"\n\n[tls]\nca_file = "/run/secrets/authority.pem"\n'
  [ "$1" = extractor ] || [ "$1" = owner ] ||
    printf '\n[graph.identity]\nkind = "certificate"\ntenant = "%s"\nclient_id = "%s"\ncertificate_file = "/run/secrets/app.pem"\n' "$tenant" "$client"
}
settings extractor - extractor >extractor.toml
settings owner owner - >owner.toml
settings coordinator coordinator coordinator >coordinator.toml
settings worker worker worker >worker.toml
settings operator operator operator >operator.toml
settings reader reader - >reader.toml
chmod 0444 ./*
chmod 0400 authority.key
cd "$here" && mv "$into" secrets
echo "made $here/secrets; take authority.key off this machine, and keep a copy of sealing.key elsewhere"
