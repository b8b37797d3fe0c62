"""Waits by IDLE for a token mail and stores its token, as imap_tools' own page shows it.

Arguments: PORT ADDRESS PASSWORD-FILE CA-FILE
"""

import re
import ssl
import sys
from pathlib import Path

import keyring
from imap_tools import AND, MailBox

port, address, password_file, ca_file = sys.argv[1:]
password = Path(password_file).read_text()
pair = re.compile(r"^Username: (\S+)\s+Security token \(case-sensitive\): (\S+)", re.MULTILINE)
trusted = ssl.create_default_context(cafile=ca_file)

with MailBox("localhost", int(port), ssl_context=trusted).login(address, password, "INBOX") as mailbox:
    while True:
        if mailbox.idle.wait(timeout=300):
            for mail in mailbox.fetch(AND(seen=False, from_="support@salesforce.com")):
                if found := pair.search(mail.text):
                    keyring.set_password("salesforce-security-token", found[1], found[2])
