#!/usr/bin/env python3
"""Resets a token by any command, and waits for the token that this reset caused.

    arm-and-wait.py USERNAME COMMAND [ARGUMENT...]

Needs fetch-token on the PATH and nothing else. Prints what was stored, never the token.
"""
import json
import subprocess
import sys


def main() -> int:
    username, *reset = sys.argv[1:]
    # "What arrives after this point": taken before the reset, so that the fastest mail is not missed.
    armed = subprocess.run(
        ["fetch-token", "arm", username], stdout=subprocess.PIPE, text=True, check=True
    )
    subprocess.run(reset, check=True)
    waited = subprocess.run(
        ["fetch-token", "wait", username, "--from", armed.stdout.strip(), "--json"],
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in waited.stdout.splitlines():
        news = json.loads(line)
        if news["event"] in ("stored", "already") and news["username"] == username:
            print(f"the token of {username} of {news['date']} is in the {news['store']}")
            if news["others"] > 0:
                print(f"it was reset more than once: {news['others']} other mails")
    return waited.returncode


if __name__ == "__main__":
    sys.exit(main())
