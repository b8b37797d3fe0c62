"""Judges mails as a careful script does: parse, find the text, look for username and token, verify the signature.

    judge_mail.py FOLDER

reads names of mails in FOLDER from standard input, one a line, and answers each with a line: whether the mail brings
a token (yes or no), and how many seconds of processor time it takes to tell. FOLDER/key is the TXT record that DNS
would give.
"""

import email
import email.policy
import pathlib
import re
import sys
import time

import dkim

# The domain whose signature counts.
DOMAIN = "salesforce.com"
PAIR = re.compile(
    r"Username:\s*(\S+@\S+)\s+Security token[^:]*:\s*([A-Za-z0-9]{20,32})\b"
)
TAG = re.compile(r"<[^>]+>")
# Seconds: long beside the clock's own steps, short beside the whole bench.
LONG_ENOUGH = 0.05

folder = pathlib.Path(sys.argv[1])
key = (folder / "key").read_bytes()


def record(name, timeout=5):
    return key


def brings_token(raw):
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    part = mail.get_body(preferencelist=("plain", "html"))
    if part is None:
        return False
    text = part.get_content()
    if part.get_content_subtype() == "html":
        text = TAG.sub("\n", text)
    if not PAIR.search(text):
        return False
    senders = mail["From"].addresses
    if len(senders) != 1 or senders[0].domain.lower() != DOMAIN:
        return False
    return dkim.verify(raw, dnsfunc=record)


for name in sys.stdin:
    raw = (folder / name.strip()).read_bytes()
    brings = brings_token(raw)
    calls = 0
    begin = time.process_time()
    while (taken := time.process_time() - begin) < LONG_ENOUGH:
        brings_token(raw)
        calls += 1
    print("yes" if brings else "no", taken / calls, flush=True)
