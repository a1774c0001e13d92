"""A gateway's metrics, as a monitor would read them."""

from tests import stage


def samples(gateway: stage.Gateway, name: str) -> list[float]:
    """What a metric says, once for each worker where it has that label; empty where it is absent."""
    lines = gateway.api("GET", "/metrics").text.splitlines()
    return [float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{"))]


def total(gateway: stage.Gateway, name: str) -> float:
    """The sum over workers; a metric that is absent fails."""
    found = samples(gateway, name)
    assert found, f"{name} is not told"
    return sum(found)
