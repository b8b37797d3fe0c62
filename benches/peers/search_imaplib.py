"""Looks for the newest token mail as scripts do, with imaplib, and says that it found the token:
HOST PORT CA_FILE USER PASSWORD_FILE."""

import email
import imaplib
import re
import ssl
import sys

host, port, ca_file, user, password_file = sys.argv[1:]
with open(password_file, encoding="utf-8") as file:
    password = file.read()
context = ssl.create_default_context()
context.load_verify_locations(ca_file)
with imaplib.IMAP4_SSL(host, int(port), ssl_context=context) as mailbox:
    mailbox.login(user, password)
    mailbox.select("INBOX", readonly=True)
    _, found = mailbox.search(None, "FROM", '"salesforce"', "SUBJECT", '"security token"')
    newest = found[0].split()[-1]
    _, parts = mailbox.fetch(newest, "(RFC822)")
    mail = email.message_from_bytes(parts[0][1])
    text = mail.get_payload(decode=True).decode()
    token = re.search(r"^Security token.*: (\S+)", text, re.MULTILINE)
print("found" if token else "not found")
