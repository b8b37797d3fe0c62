"""An Airflow secrets backend: the connections of Salesforce users come out of the keychain, when they are asked for.

    AIRFLOW__SECRETS__BACKEND=airflow_keychain.KeychainBackend
    AIRFLOW__SECRETS__BACKEND_KWARGS='{"usernames": {"salesforce_default": "etl@acme.example"}}'

The file must be on PYTHONPATH, the package keyring in Airflow's environment, and the keychain that of the user whom
Airflow runs as. The password lies there as `keyring set salesforce-password USERNAME` puts it.
"""
from __future__ import annotations

import json

import keyring
from airflow.secrets import BaseSecretsBackend


class KeychainBackend(BaseSecretsBackend):
    """Knows the connections that `usernames` names; Airflow asks its other backends for the rest."""

    def __init__(self, usernames: dict[str, str], domain: str = "login") -> None:
        self.usernames = usernames
        self.domain = domain

    def get_conn_value(self, conn_id: str, team_name: str | None = None) -> str | None:
        username = self.usernames.get(conn_id)
        if username is None:
            return None
        password = keyring.get_password("salesforce-password", username)
        token = keyring.get_password("salesforce-security-token", username)
        if password is None or token is None:
            return None
        extra = {"security_token": token, "domain": self.domain}
        return json.dumps(
            {"conn_type": "salesforce", "login": username, "password": password, "extra": extra}
        )

    def get_variable(self, key: str, team_name: str | None = None) -> str | None:
        return None

    def get_config(self, key: str) -> str | None:
        return None
