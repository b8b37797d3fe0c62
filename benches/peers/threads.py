"""Waits for new mail in many mailboxes with imap_tools, a thread each: threads.py PORT CA_FILE PASSWORD_FILE ACCOUNTS

Says "watching" for each mailbox, and ends when its standard input does.
"""

import ssl
import sys
import threading

from imap_tools import MailBox


def watch(port: int, context: ssl.SSLContext, user: str, password: str) -> None:
    with MailBox("localhost", port=port, ssl_context=context).login(user, password, None) as mailbox:
        mailbox.folder.set("INBOX", readonly=True)
        with mailbox.idle as idle:
            # In one piece: print() writes a line's end by itself, and another thread's line comes between.
            sys.stdout.write(f"watching {user}\n")
            sys.stdout.flush()
            while True:
                for line in idle.poll(timeout=300):
                    print(user, line, flush=True)


def main() -> None:
    port, ca_file, password_file, accounts = sys.argv[1:]
    with open(password_file) as file:
        password = file.read().strip()
    # One for all: it holds the authorities.
    context = ssl.create_default_context(cafile=ca_file)
    for number in range(int(accounts)):
        user = f"user{number}@acme.example"
        threading.Thread(target=watch, args=(int(port), context, user, password), daemon=True).start()
    sys.stdin.read()


main()
