"""A gateway's metrics, as a monitor would read them."""

from tests import stage
from tests.interop.raw import until


def samples(gateway: stage.Gateway, name: str) -> list[float]:
    """What a metric says, once for each worker where it has that label; empty where it is absent."""
    lines = gateway.api("GET", "/metrics").text.splitlines()
    return [float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{"))]


def total(gateway: stage.Gateway, name: str) -> float:
    """The sum over workers; a metric that stays absent fails, one of a process that is busy is asked again."""
    found: list[float] = until(lambda: samples(gateway, name), f"{name} is told")
    return sum(found)
