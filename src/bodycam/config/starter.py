"""The settings file that `bodycam init` writes: few settings, each with its reason beside it."""

import json
from collections.abc import Mapping

_TEXT = """\
# Bodycam's settings. `bodycam config check` says what is wrong with them, by line and key;
# docs/configuration.md lists every setting. A running gateway takes changes over on SIGHUP.

# One address for each protocol, and the control API's. Addresses that other machines can
# reach want their names in tls.names.
listen:
{listen}

tls:
  names: []                # host names and addresses by which clients reach this gateway

keys: {keys}               # made by `bodycam init`; keep it apart from the data, and back it up

storage:
  data: {data}             # journal, recordings, ledger, catalog

# The systems behind the gateway. A password is never in this file: give an environment
# variable, a file of mode 0600, or a command that prints it.
targets: {{}}
#  orders:
#    protocol: {protocol}
#    address: db.internal:5432
#    user: app
#    password: {{env: ORDERS_PASSWORD}}
#    database: orders
#    tls: {{sslmode: verify-full}}
#    labels: {{env: prod}}
{examples}
# The agents that may run, and who may start them.
agents: {{}}
#  billing-bot:
#    owner: payments
#    may_start: {{groups: [payments-dev]}}

# Who may open what. What no entry grants is denied. A run has the rights that its agent and
# the one who started it both have.
access: []
#  - agents: [billing-bot]
#    groups: [payments-dev]
#    targets: {{labels: {{env: prod}}}}

# Who may do more at the control API than see and end their own runs.
roles:
  admin: {{groups: [admins]}}
  auditor: {{groups: [auditors]}}
"""


def starter(
    protocols: Mapping[str, str],
    *,
    control: str = "127.0.0.1:7888",
    keys: str = "keys",
    data: str = "data",
    examples: str = "",
) -> str:
    """The text of a first settings file, ready to load.

    `protocols` gives each protocol's listening address; `keys` and `data` are folders, absolute or relative
    to the file. `examples` are further targets, commented out, each on lines of their own.
    """
    # a JSON string is a YAML string, whatever stands in a path
    addresses = {**protocols, "control": control}
    return _TEXT.format(
        listen="\n".join(f"  {name}: {json.dumps(address)}" for name, address in addresses.items()),
        keys=json.dumps(keys),
        data=json.dumps(data),
        examples=examples,
        protocol=next(iter(protocols), "NAME"),
    )
