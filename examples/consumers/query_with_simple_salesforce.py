#!/usr/bin/env python3
"""Queries Salesforce by simple_salesforce, with password and security token out of the keychain.

    query_with_simple_salesforce.py USERNAME [login|test|MY-DOMAIN.my]

Needs the packages simple-salesforce and keyring, and no fetch-token while it runs. The password lies in the keychain
as `keyring set salesforce-password USERNAME` puts it there.
"""
import sys

import keyring
from simple_salesforce import Salesforce


def secret(service: str, username: str) -> str:
    value = keyring.get_password(service, username)
    if value is None:
        sys.exit(f"the keychain has no {service} for {username}")
    return value


def main() -> None:
    username, domain = (sys.argv[1:] + ["login"])[:2]
    salesforce = Salesforce(
        username=username,
        password=secret("salesforce-password", username),
        security_token=secret("salesforce-security-token", username),
        domain=domain,
    )
    for account in salesforce.query("SELECT Id, Name FROM Account LIMIT 1")["records"]:
        print(account["Id"], account["Name"])


if __name__ == "__main__":
    main()
