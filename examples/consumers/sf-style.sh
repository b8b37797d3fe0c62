#!/usr/bin/env bash
# fetch-token with answers shaped as those of `sf ... --json`: status, result, warnings; or status, name, message.
#
#     sf-style.sh list | jq -r '.result[].username'
#     sf-style.sh get USERNAME | jq -r .result.token
#
# Needs fetch-token and jq on the PATH. Ends with fetch-token's own status.
set -uo pipefail

unset answer # what comes exported from the environment would stay so
answer=$(fetch-token "$@" --json)
status=$?
# printf is the shell's own: a token in the answer is in no program's arguments.
printf '%s\n' "$answer" | jq --slurp --argjson status "$status" --arg command "$1" '
    map(del(.schema, .event)) as $objects
    | if $status != 0 then
        {$status, name: "FetchTokenError", message: ($objects | last | .message), exitCode: $status}
      else
        {$status, result: (if $command == "list" then $objects else $objects[0] end), warnings: []}
      end'
exit "$status"
