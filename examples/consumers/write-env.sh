#!/bin/sh
# A hook of the daemon that keeps a username's token in an .env file. It costs safety: docs/consumers.md says how much.
#
#     [[hook]]
#     on = "stored"
#     stdin = "token"
#     command = ["/usr/local/lib/fetch-token/write-env.sh", "etl@acme.example", "/srv/etl/.env"]
#
# The line of SALESFORCE_SECURITY_TOKEN is replaced, or added; the other lines stay.
set -eu

username=$1
file=$2
name=SALESFORCE_SECURITY_TOKEN

[ "$FETCH_TOKEN_USERNAME" = "$username" ] || exit 0
unset token # what comes exported from the environment would stay so
token=$(cat)
# What would be quoted in such a file in one way by one reader and in another by the next is no token.
case $token in
'' | *[!A-Za-z0-9]*)
    echo "that is no token: $file stays as it is" >&2
    exit 1
    ;;
esac

# Readers see the old file or the new one, never half of it; mktemp makes it for its owner alone, whatever the umask.
new=$(mktemp "$file.XXXXXX")
trap 'rm -f "$new"' EXIT
trap 'exit 143' TERM
if [ -e "$file" ]; then
    grep -v "^$name=" "$file" >"$new" || [ $? -eq 1 ] # 1: there were no other lines
fi
printf '%s=%s\n' "$name" "$token" >>"$new"
mv -f "$new" "$file"
