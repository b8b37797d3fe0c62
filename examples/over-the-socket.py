#!/usr/bin/env python3
"""Resets a token by any command, and hears from the daemon what became of the mail (docs/protocol.md).

    socket.py ADDRESS USERNAME COMMAND [ARGUMENT...]

ADDRESS is the mailbox's, as the configuration names it. Needs a running `fetch-token daemon` and nothing else.
"""
import json
import os
import socket
import subprocess
import sys

PROTOCOL = 2


def main() -> int:
    address, username, *reset = sys.argv[1:]
    with socket.socket(socket.AF_UNIX) as stream:
        stream.settimeout(300)
        stream.connect(os.path.join(os.environ["XDG_RUNTIME_DIR"], "fetch-token", "daemon.sock"))
        lines = stream.makefile("rw", encoding="utf-8", newline="\n")
        greeting = json.loads(lines.readline())
        if greeting["protocol"] != PROTOCOL:
            sys.exit(f"the daemon speaks protocol {greeting['protocol']}, this program {PROTOCOL}")
        request = {"watch": {"account": address, "begin": "now"}}
        print(json.dumps({"protocol": PROTOCOL, "request": request}), file=lines, flush=True)
        has_reset = False
        for line in lines:
            answer = json.loads(line)
            if "refused" in answer:
                sys.exit(answer["refused"])
            news = answer.get("news", {})
            if "armed" in news and not has_reset:
                has_reset = True
                subprocess.run(reset, check=True)
            receipt = news.get("receipt")
            if receipt and receipt["username"] == username:
                print(f"{receipt['event']}: {username}, mail of {receipt['date']}")
                if receipt["event"] in ("stored", "already"):
                    return 0
            if "failed" in news:
                sys.exit(news["failed"]["sentence"])
    sys.exit("the daemon ended")


if __name__ == "__main__":
    sys.exit(main())
