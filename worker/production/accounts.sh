#!/bin/sh
# Grants (worker/grants.sql) and passwords for the four accounts, over TLS. Run by the service
# `accounts` after the tables were made; safe to run again, also to change a password. Where CONSOLE_PASSWORD is
# empty the account of the console is locked.
set -eu

for password in "$WORKER_PASSWORD" "$APP_PASSWORD" "$OPERATOR_PASSWORD" "${CONSOLE_PASSWORD:-none}"; do
    case $password in
        '' | *[!A-Za-z0-9_-]*)
            echo "a password must be of letters, digits, _ and -: openssl rand -hex 16" >&2
            exit 2
            ;;
    esac
done

admin() {
    # The password goes by the environment: a command line can be read by others.
    MYSQL_PWD=$MYSQL_ROOT_PASSWORD mysql --host="$MYSQL_HOST" --port="${MYSQL_PORT:-3306}" \
        --ssl-ca="$CA" --user=root --database="${MYSQL_DATABASE:-verify}" "$@"
}

console="ACCOUNT LOCK"
if [ -n "${CONSOLE_PASSWORD:-}" ]; then
    console="IDENTIFIED BY '$CONSOLE_PASSWORD' REQUIRE SSL ACCOUNT UNLOCK"
fi

admin < "$GRANTS"
admin << SQL
ALTER USER 'verify_worker'@'%' IDENTIFIED BY '$WORKER_PASSWORD' REQUIRE SSL ACCOUNT UNLOCK;
ALTER USER 'verify_app'@'%' IDENTIFIED BY '$APP_PASSWORD' REQUIRE SSL ACCOUNT UNLOCK;
ALTER USER 'verify_operator'@'%' IDENTIFIED BY '$OPERATOR_PASSWORD' REQUIRE SSL ACCOUNT UNLOCK;
ALTER USER 'verify_console'@'%' $console;
SQL
