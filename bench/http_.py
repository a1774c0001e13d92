"""HTTP through Bodycam beside direct, HAProxy (HTTP mode) and mitmproxy, all from one run.

python bench/http_.py [--quick] [--json]

Full recording is on, ten rules are asked, and there is one worker. HAProxy forwards to the server; mitmproxy
and Bodycam are asked as a proxy is. A bound that is missed is reported, and is no failure of the benchmark.
"""

import argparse
import base64
import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))  # the gateway is the tests' own

from parts.baselines import found  # noqa: E402
from parts.machine import Row, machine, row, show  # noqa: E402
from parts.process import cpu, folder_size, private_memory, watched_memory  # noqa: E402
from parts.rules import web_rules  # noqa: E402
from parts.web import ITEMS, haproxy, mitmdump, mitmproxy, nginx  # noqa: E402
from parts.web_events import delays  # noqa: E402
from parts.web_load import Done, Way, client, load  # noqa: E402
from tests.stage import Gateway, folder, free_port  # noqa: E402

DIRECT, HAPROXY, MITMPROXY, BODYCAM = "direct", "HAProxy", "mitmproxy", "Bodycam"
MISSING = {
    HAPROXY: "HAProxy (missing: install the package haproxy)",
    MITMPROXY: "mitmproxy (missing: it could not be installed from PyPI)",
}
MIB = 2**20
LIMITS = {"connections_per_run": 3_000, "connections": 3_000, "pending_logins": 256}
PATHS = [f"/item/{number}.json" for number in range(ITEMS)]


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done: seconds of one load, rounds of it, and bytes of the large file."""

    seconds: float
    rounds: int
    large: int


QUICK = Size(seconds=1, rounds=1, large=256 * MIB)
FULL = Size(seconds=5, rounds=3, large=1024 * MIB)


@dataclass(frozen=True, slots=True)
class Route:
    """One way to the server, in the clear and with TLS, and the process in between."""

    plain: Way
    secure: Way | None
    pids: tuple[int, ...] = ()


class Bench:
    """The stage and what has been measured on it so far."""

    def __init__(
        self, gateway: Gateway, listen: int, ports: tuple[int, int], events: int, size: Size
    ) -> None:
        self.gateway, self.listen, self.size = gateway, listen, size
        self.port, self.secure, self.events = *ports, events
        self.rows: list[Row] = []
        self.routes: dict[str, Route] = {}
        children = gateway.children()
        self.worker, self.archivist = tuple(children["worker"]), tuple(children["archivist"])
        self.login = ""

    def add(self, measure: str, value: float | None, unit: str, **rest: float | str | None) -> None:
        """Keep one row; a missing baseline is named."""
        against = rest.get("against")
        if against in MISSING and against not in self.routes:
            rest["against"] = MISSING[str(against)]
        self.rows.append(row(measure, value, unit, **rest))  # type: ignore[arg-type]

    def proxied(self, port: int, to: int, *lines: str) -> Way:
        """Ask a proxy for what is at a port of the server."""
        return Way(port, f"http://127.0.0.1:{to}", (f"Host: 127.0.0.1:{to}", *lines))

    def tunnelled(self, port: int, ca_file: Path, *lines: str) -> Way:
        """Ask a proxy for a tunnel to the server's TLS."""
        to = f"localhost:{self.secure}"
        return Way(port, "", (f"Host: {to}",), to, lines, ca_file)

    @contextlib.contextmanager
    def run(self) -> Iterator[None]:
        """A run of its own, so that what it recorded is sealed and can be counted."""
        credential = self.gateway.run()
        pair = base64.b64encode(f"{credential.run}:{credential.secret}".encode()).decode()
        self.login = f"Proxy-Authorization: Basic {pair}"
        ca_file = self.gateway.folder / "keys" / "public" / "interception-ca.pem"
        self.routes[BODYCAM] = Route(
            self.proxied(self.listen, self.port, self.login),
            self.tunnelled(self.listen, ca_file, self.login),
            self.worker,
        )
        yield
        self.gateway.end(credential, wait=60)

    # -- the measures ---------------------------------------------------------------------------

    def small(self, *, secure: bool) -> None:
        """32 lasting connections that ask for documents of 1 KiB, in the clear or by TLS that is read."""
        names = [name for name, route in self.routes.items() if not secure or route.secure]
        names = [name for name in names if name != BODYCAM]
        rates: dict[str, list[float]] = {}
        used: dict[str, list[float]] = {}
        archivist, stored, wire, requests = cpu(self.archivist), folder_size(self._recordings), 0, 0
        with self.run():
            names.append(BODYCAM)
            for _ in range(self.size.rounds):
                for name in names:
                    route = self.routes[name]
                    way = route.secure if secure else route.plain
                    assert way is not None
                    before = cpu(route.pids)
                    done = load(way, PATHS, self.size.seconds)
                    rates.setdefault(name, []).append(done.rate)
                    used.setdefault(name, []).append((cpu(route.pids) - before) / done.requests * 1e6)
                    if name == BODYCAM:
                        wire, requests = wire + done.wire, requests + done.requests
        what = f"GET of 1 KiB{', TLS read' if secure else ''}"
        middle = {name: statistics.median(each) for name, each in rates.items()}
        cost = {name: statistics.median(each) for name, each in used.items()}
        for name, rate in middle.items():
            if name != BODYCAM:
                self.add(f"{what}: {name}", rate, "1/s")
        way = self.routes[DIRECT].secure if secure else self.routes[DIRECT].plain
        assert way is not None
        self.rows[-len(middle) + 1]["measure"] += f" (limit of the client: {client(way)})"
        ours = middle[BODYCAM]
        if not secure:
            self.add(f"{what}: Bodycam", ours, "1/s", against=HAPROXY, base=middle.get(HAPROXY), at_least=0.5)
        bound = 15 if secure else 20
        base = middle.get(MITMPROXY)
        self.add(f"{what}: Bodycam", ours, "1/s", against=MITMPROXY, base=base, at_least=bound)
        for name in (HAPROXY, MITMPROXY):
            if name in cost:
                self.add(f"{what}: {name}, CPU", cost[name], "us/req")
        against = {} if secure else {"against": HAPROXY, "base": cost.get(HAPROXY)}
        self.add(f"{what}: worker, CPU", cost[BODYCAM], "us/req", **against)
        each = (cpu(self.archivist) - archivist) / requests * 1e6
        self.add(f"{what}: archivist, CPU", each, "us/req", against="worker", base=cost[BODYCAM])
        if not secure:
            size = (folder_size(self._recordings) - stored) / requests
            self.add(
                f"{what}: recording",
                size,
                "B/req",
                against="raw wire bytes",
                base=wire / requests,
                at_most=0.3,
            )

    def named(self) -> None:
        """The same of a target by its name, whose clients need to know of no proxy."""
        with self.run():
            proxy = load(self.routes[BODYCAM].plain, PATHS, self.size.seconds)
            secret = self.login.replace("Proxy-", "")
            way = Way(self.listen, "/t/web", (f"Host: 127.0.0.1:{self.listen}", secret))
            done = load(way, PATHS, self.size.seconds)
        self.add(
            "GET of 1 KiB: Bodycam, named target", done.rate, "1/s", against="as a proxy", base=proxy.rate
        )

    def latency(self) -> None:
        """What one client waits for longer."""
        with self.run():
            each = {name: 1e6 / self._alone(route).rate for name, route in self.routes.items()}
        self.add("one client: direct", each[DIRECT], "us")
        for name, mean in each.items():
            if name != DIRECT:
                self.add(f"one client: {name}, added", mean - each[DIRECT], "us")

    def _alone(self, route: Route) -> Done:
        return load(route.plain, PATHS, self.size.seconds, clients=1)

    def large(self) -> None:
        """A large file, to one client that takes it as fast as it comes."""
        rates: dict[str, list[float]] = {}
        used, peak = [], 0
        with self.run():
            before = sum(map(private_memory, self.worker))
            for _ in range(self.size.rounds):
                for name, route in self.routes.items():
                    begun, spent = time.perf_counter(), cpu(route.pids)
                    if name == BODYCAM:
                        with watched_memory(self.worker) as seen:
                            self._download(route.plain)
                        used.append((cpu(route.pids) - spent) / self.size.large * 2**30)
                        peak = max(peak, *seen)
                    else:
                        self._download(route.plain)
                    rates.setdefault(name, []).append(self.size.large / MIB / (time.perf_counter() - begun))
            with watched_memory(self.worker) as seen:
                self._download(self.routes[BODYCAM].plain, "--limit-rate", "40M", "--max-time", "3")
            slow = max(seen)
        what = f"download of {self.size.large // MIB:,} MiB"
        middle = {name: statistics.median(each) for name, each in rates.items()}
        for name, rate in middle.items():
            if name != BODYCAM:
                self.add(f"{what}: {name}", rate, "MiB/s")
        base = middle.get(HAPROXY)
        self.add(f"{what}: Bodycam", middle[BODYCAM], "MiB/s", against=HAPROXY, base=base, at_least=0.6)
        self.add(f"{what}: worker, CPU", statistics.median(used), "s/GiB")
        self.add(f"{what}: worker, memory at most added", (peak - before) / MIB, "MiB", at_most=32)
        self.add(f"{what}: the same, a slow client", (slow - before) / MIB, "MiB", at_most=32)

    def _download(self, way: Way, *options: str) -> None:
        lines = [part for line in way.lines for part in ("-H", line)]
        url = f"http://127.0.0.1:{self.port if way.before else way.port}/big.bin"
        proxy = ["-x", f"http://127.0.0.1:{way.port}"] if way.before else ["--noproxy", "*"]
        if self.login in way.lines:
            lines = ["--proxy-header", self.login]
        command = ["curl", "-sS", "-f", "-o", "/dev/null", *proxy, *lines, *options, url]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, text=True)
        if done.returncode not in (0, 28 if options else 0):
            raise RuntimeError(f"curl failed ({done.returncode}): {done.stderr[-500:]}")

    def streamed(self) -> None:
        """Server-sent events: how much later each comes."""
        ways = {DIRECT: Way(self.events)}
        with self.run():
            ways[BODYCAM] = self.proxied(self.listen, self.events, self.login)
            each = {name: delays(self.events, way, 2 * self.size.seconds) for name, way in ways.items()}
        for part in (50, 99):
            cut = {name: statistics.quantiles(found, n=100)[part - 1] for name, found in each.items()}
            self.add(f"event of a stream: direct p{part}", cut[DIRECT], "us")
            for name in ways:
                if name != DIRECT:
                    limit = {"at_most": 5_000} if name == BODYCAM and part == 99 else {}
                    added = cut[name] - cut[DIRECT]
                    self.add(f"event of a stream: {name}, added p{part}", added, "us", **limit)

    @property
    def _recordings(self) -> Path:
        return self.gateway.data / "recordings"


def measure(size: Size) -> list[Row]:
    """Everything, on a server and a gateway made for it."""
    program = mitmdump()
    with contextlib.ExitStack() as stack:
        served = stack.enter_context(folder())
        plain, secure = stack.enter_context(nginx(served, size.large))
        listen, events = free_port(), free_port()
        place = stack.enter_context(folder())
        clear, ours = {"sslmode": "disable"}, {"ca_file": str(served / "ca.pem")}
        targets = {
            name: {"protocol": "http", "address": address, "tls": tls, "labels": {"env": "bench"}}
            for name, address, tls in (
                ("web", f"127.0.0.1:{plain}", clear),
                ("events", f"127.0.0.1:{events}", clear),
                ("secure", f"localhost:{secure}", ours),
            )
        }
        gateway = Gateway(
            place / "gateway",
            targets,
            listen={"http": f"127.0.0.1:{listen}"},
            limits=LIMITS,
            rules=web_rules(10),
        )
        gateway.init()
        gateway.start()
        stack.callback(gateway.stop)
        bench = Bench(gateway, listen, (plain, secure), events, size)
        bench.routes[DIRECT] = Route(Way(plain), Way(secure, ca_file=served / "ca.pem"))
        if found("haproxy"):
            port, pid = stack.enter_context(haproxy(stack.enter_context(folder()), plain))
            bench.routes[HAPROXY] = Route(bench.proxied(port, plain), None, (pid,))
        if program is not None:
            own = stack.enter_context(folder())
            port, pid = stack.enter_context(mitmproxy(own, program, served / "ca.pem"))
            trusted = own / "mitmproxy-ca-cert.pem"
            route = Route(bench.proxied(port, plain), bench.tunnelled(port, trusted), (pid,))
            bench.routes[MITMPROXY] = route
        bench.small(secure=False)
        bench.small(secure=True)
        bench.named()
        bench.latency()
        bench.large()
        bench.streamed()
        return bench.rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short loads, within a minute")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args()
    if not found("nginx") or not found("curl"):
        parser.error("the server and the downloads need the packages nginx-light and curl")
    about = machine()
    show("http", measure(QUICK if options.quick else FULL), about, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
