"""`bodycam audit`: administrative acts and viewings, as the ledger anchors them."""

from bodycam.cli.door import knock
from bodycam.cli.options import Json, Limit, Url
from bodycam.cli.printing import print_json, print_table, when


def command(limit: Limit = 50, as_json: Json = False, url: Url = None) -> None:
    """List administrative acts and viewings, newest first."""
    with knock(url) as client:
        events = list(client.pages("/v1/audit", "events", limit=limit))
    if as_json:
        print_json({"events": events})
        return
    print_table(
        ["time", "actor", "action", "object", "ledger", "detail"],
        [
            (
                when(one.get("at")),
                one.get("actor"),
                one.get("action"),
                one.get("object"),
                one.get("leaf"),
                one.get("detail"),
            )
            for one in events
        ],
        empty="nothing yet",
    )
