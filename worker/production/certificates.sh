#!/bin/sh
# A certificate authority of your own, from it one certificate each for Redis and MySQL, and the pair of keys that
# heads are signed and checked with.
#
#   sh worker/production/certificates.sh [FOLDER]      (default: var/tls)
#
# Run it again to renew the servers' certificates (they end after 825 days); authority and keys stay. Your
# app needs FOLDER/ca.crt; nobody else needs FOLDER/ca.key: keep it somewhere else.
set -eu
umask 022

folder=${1:-var/tls}
mkdir -p "$folder"
# On the host nobody else gets in; inside of the containers the servers' users can read their key.
chmod 700 "$folder"

new_key() {
    openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out "$1"
}

if [ ! -f "$folder/ca.key" ]; then
    new_key "$folder/ca.key"
    chmod 600 "$folder/ca.key"
    openssl req -x509 -new -key "$folder/ca.key" -sha256 -days 3650 -subj "/CN=face-verification authority" \
        -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" \
        -out "$folder/ca.crt"
fi

for server in redis mysql; do
    home="$folder/$server"
    mkdir -p "$home"
    new_key "$home/server.key"
    openssl req -new -key "$home/server.key" -subj "/CN=$server" -out "$home/server.csr"
    printf 'subjectAltName=DNS:%s,DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n' "$server" \
        > "$home/server.ext"
    openssl x509 -req -in "$home/server.csr" -CA "$folder/ca.crt" -CAkey "$folder/ca.key" -CAcreateserial \
        -sha256 -days 825 -extfile "$home/server.ext" -out "$home/server.crt" 2> /dev/null
    rm "$home/server.csr" "$home/server.ext"
    cp "$folder/ca.crt" "$home/ca.crt"
done

# What workers mount: the authority's certificate, and what heads are checked with. What signs them goes to the
# retrain worker and the operator only.
mkdir -p "$folder/public" "$folder/heads"
cp "$folder/ca.crt" "$folder/public/ca.crt"
if [ ! -f "$folder/heads/head.key" ]; then
    openssl genpkey -quiet -algorithm ed25519 -out "$folder/heads/head.key"
fi
openssl pkey -in "$folder/heads/head.key" -pubout -out "$folder/public/head.pub"
chmod 644 "$folder"/*/*
