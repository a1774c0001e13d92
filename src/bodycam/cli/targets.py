"""`bodycam targets`: the systems behind the gateway."""

from bodycam.cli.door import knock
from bodycam.cli.options import Json, Url
from bodycam.cli.printing import labels_text, print_json, print_table


def command(as_json: Json = False, url: Url = None) -> None:
    """List the targets that you may see."""
    with knock(url) as client:
        targets = client.get("/v1/targets").get("targets", [])
    if as_json:
        print_json({"targets": targets})
        return
    print_table(
        ["target", "protocol", "database", "labels"],
        [
            (t.get("name"), t.get("protocol"), t.get("database"), labels_text(t.get("labels")))
            for t in targets
        ],
        empty="there are no targets for you; `targets` and `access` in the settings give them",
        sparse=("database", "labels"),
    )
