"""Logs in every 5 seconds, looks for an unread token mail, and stores its token: the script that many have.

Arguments: PORT ADDRESS PASSWORD-FILE CA-FILE
"""

import email
import email.policy
import imaplib
import re
import ssl
import sys
import time
from pathlib import Path

import keyring

port, address, password_file, ca_file = sys.argv[1:]
password = Path(password_file).read_text()
pair = re.compile(r"^Username: (\S+)\s+Security token \(case-sensitive\): (\S+)", re.MULTILINE)
trusted = ssl.create_default_context(cafile=ca_file)

while True:
    with imaplib.IMAP4_SSL("localhost", int(port), ssl_context=trusted) as server:
        server.login(address, password)
        server.select("INBOX")
        _, numbers = server.search(None, '(UNSEEN FROM "support@salesforce.com")')
        for number in numbers[0].split():
            _, fetched = server.fetch(number, "(RFC822)")
            mail = email.message_from_bytes(fetched[0][1], policy=email.policy.default)
            if found := pair.search(mail.get_body().get_content()):
                keyring.set_password("salesforce-security-token", found[1], found[2])
    time.sleep(5)
