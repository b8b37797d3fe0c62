"""What a script does that watches an inbox for the token, once it has a mail: Python's own parser, a look at From and
a regular expression. Prints a line per file: the token it would store, or nothing."""

import email
import email.policy
import re
import sys

PATTERN = re.compile(r"Security token(?: \(case-sensitive\))?:\s*(\S+)", re.IGNORECASE)


def token(path):
    with open(path, "rb") as file:
        mail = email.message_from_binary_file(file, policy=email.policy.default)
    if "salesforce" not in str(mail["From"]).lower():
        return ""
    body = mail.get_body(preferencelist=("plain", "html"))
    if body is None:
        return ""
    found = PATTERN.search(re.sub(r"<[^>]+>", " ", body.get_content()))
    return found.group(1) if found else ""


for path in sys.argv[1:]:
    try:
        print(token(path))
    except Exception:  # A script that ends with a traceback stores nothing.
        print("")
