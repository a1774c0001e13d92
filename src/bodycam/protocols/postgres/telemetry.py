"""PostgreSQL's exchanges in the words of OpenTelemetry's conventions for databases.

https://opentelemetry.io/docs/specs/semconv/database/postgresql/ . Tables are not told: the conventions don't
want them parsed out of a query's text.
"""

from bodycam.model.telemetry import Attribute, Exchanged, SpanWords
from bodycam.protocols.postgres.details import COMMAND


def wording(exchange: Exchanged) -> SpanWords:
    """What a client's instrumentation would say of it, as far as it is known here."""
    command = str(exchange.details.get(COMMAND, ""))
    attributes: dict[str, Attribute] = {"db.system.name": "postgresql"}
    if exchange.database:
        attributes["db.namespace"] = exchange.database
    if command:
        attributes["db.operation.name"] = command
    if exchange.text:
        attributes["db.query.text"] = exchange.text
    if exchange.rows and command == "SELECT":
        attributes["db.response.returned_rows"] = exchange.rows
    if exchange.code:
        attributes["db.response.status_code"] = exchange.code
    if exchange.address is not None:
        attributes["server.address"], attributes["server.port"] = exchange.address
    named = " ".join(filter(None, (command, exchange.database)))
    return SpanWords(named if command else named or exchange.verb, attributes)
