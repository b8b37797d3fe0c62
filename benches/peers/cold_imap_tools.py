"""Starts to idle in an inbox with imap_tools, and says so: HOST PORT CA_FILE USER PASSWORD_FILE."""

import ssl
import sys

from imap_tools import MailBox

host, port, ca_file, user, password_file = sys.argv[1:]
with open(password_file, encoding="utf-8") as file:
    password = file.read()
context = ssl.create_default_context()
context.load_verify_locations(ca_file)
with MailBox(host, int(port), ssl_context=context).login(user, password, "INBOX") as mailbox:
    mailbox.idle.start()
    print("idling", file=sys.stderr, flush=True)
    mailbox.idle.poll(timeout=60)
