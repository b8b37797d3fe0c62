#!/bin/sh
# Resets a token by any command, and runs a program with the token that this reset caused.
#
#     run-a-tool.sh USERNAME COMMAND [ARGUMENT...]
#
# Needs fetch-token on the PATH. The mailbox is watched before COMMAND starts.
set -eu
username=$1
shift

fetch-token run "$username" --timeout 5m -- "$@" || {
    status=$?
    echo "no token, or the reset failed ($status); the sentence above says what to do" >&2
    exit "$status"
}

# The token is in the keychain. A program that takes it from its environment gets it there, and nothing else does:
fetch-token exec "$username" -- sh -c 'echo "a program got a token of ${#SALESFORCE_SECURITY_TOKEN} characters"'
