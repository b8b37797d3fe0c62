#!/usr/bin/env bash
# Runs a Singer tap with its configuration in a pipe, so that neither password nor token comes to lie on a disk.
#
#     tap-salesforce.sh USERNAME --discover > catalog.json
#     tap-salesforce.sh USERNAME --catalog catalog.json
#
# Needs fetch-token, jq, secret-tool and tap-salesforce on the PATH. The password lies in the keychain, as
# `secret-tool store --label=Salesforce service salesforce-password username USERNAME` puts it there.
set -euo pipefail

username=$1
shift
# Not exported, not even from before, so no program's environment has them; and printf is the shell's own, so no
# program's arguments.
unset token password
token=$(fetch-token get "$username")
password=$(secret-tool lookup service salesforce-password username "$username")

config() {
    jq -n --arg username "$username" \
        --rawfile password <(printf %s "$password") \
        --rawfile security_token <(printf %s "$token") \
        '{$username, $password, $security_token, api_type: "REST", select_fields_by_default: true,
          start_date: "2024-01-01T00:00:00Z"}'
}

exec tap-salesforce --config <(config) "$@"
