#!/usr/bin/env python3
"""What a task of Airflow does with the connection: a query by Salesforce's hook.

    query_with_airflow.py [CONNECTION]
"""
import sys

from airflow.providers.salesforce.hooks.salesforce import SalesforceHook

connection = sys.argv[1] if len(sys.argv) > 1 else "salesforce_default"
found = SalesforceHook(connection).make_query("SELECT Id, Name FROM Account LIMIT 1")
for account in found["records"]:
    print(account["Id"], account["Name"])
