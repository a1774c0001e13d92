"""One `bodycam run` from its first call to its last line."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bodycam.net.control_client import ControlClient, ControlError
from bodycam.run.binding import Credential, Situation
from bodycam.run.certificate import ClientCertificate
from bodycam.run.child import HeldSignals
from bodycam.run.environment import BINDINGS, bypasses, child_environment, detours, secret_names
from bodycam.run.failure import RunFailure
from bodycam.run.gateway import Gateway, Reachable, choose, gateway_from
from bodycam.run.grade import measure
from bodycam.run.heads import heads_folder, keep_head
from bodycam.run.lease import Lease
from bodycam.run.private_folder import PrivateFolder

START_SECONDS = 8.0  # for each of the first calls; unreachable shows at the connect, which has 5
SETTLE_SECONDS = 10.0
_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asked for; `ttl` is in seconds, None for the gateway's own."""

    agent: str
    command: Sequence[str]
    labels: Mapping[str, str]
    targets: Sequence[str] = ()
    ttl: float | None = None
    keep_env: bool = False


class Attempt:
    """Starts the run, the child, and ends both. `say` prints one line for the person at the terminal."""

    def __init__(self, client: ControlClient, environ: Mapping[str, str], say: Callable[[str], None]) -> None:
        self._client, self._environ, self._say = client, environ, say

    def go(self, wish: Wish) -> int:
        """Run the command and return what to exit with.

        Raises:
            RunFailure: the child was not started. ControlError: the gateway refused or can't be reached.
        """
        with HeldSignals() as signals:
            description = self._client.get("/v1/gateway", {"agent": wish.agent}, seconds=START_SECONDS)
            gateway = gateway_from(description)
            chosen = choose(gateway, wish.agent, wish.targets)
            self._refuse_bypass(wish, gateway)
            grade = measure(self._client.url, [host for one in gateway.targets for host in one.hosts])
            stopped = signals.stop_asked()
            if stopped is not None:
                return stopped
            certificate = ClientCertificate() if _certifiable(gateway, chosen) else None
            body = self._request(wish, str(grade)) | _asking(certificate)
            started = self._client.post("/v1/runs", body, seconds=START_SECONDS)
            run, credential = _started(started)
            code = 1
            try:
                with PrivateFolder() as folder:
                    files = None if certificate is None else certificate.put(folder, started)
                    variables = self._variables(wish, gateway, chosen, credential, folder, files)
                    code = self._child(wish, chosen, variables, run, certificate, signals)
            except RunFailure as failure:
                code = failure.code
                raise
            finally:
                self._end(run, str(run.get("grade") or grade), code)
            return code

    def _refuse_bypass(self, wish: Wish, gateway: Gateway) -> None:
        found = bypasses(self._environ, gateway.targets)
        if found and not wish.keep_env:
            names = "; ".join(f"{one.variable} names the host of the target {one.target}" for one in found)
            raise RunFailure(
                f"a variable would lead the child round the gateway: {names}",
                hint="unset it, or keep it with --keep-env",
            )

    def _request(self, wish: Wish, grade: str) -> dict[str, Any]:
        return {
            "agent": wish.agent,
            "labels": dict(wish.labels),
            "trace": self._environ.get("TRACEPARENT") or None,
            "grade": grade,
            "ttl": wish.ttl,
        }

    def _variables(
        self,
        wish: Wish,
        gateway: Gateway,
        chosen: Mapping[str, Reachable],
        credential: Credential,
        folder: PrivateFolder,
        files: tuple[Path, Path] | None,
    ) -> Mapping[str, str]:
        variables: dict[str, str] = {}
        for binding in BINDINGS:
            listener, target = gateway.listeners.get(binding.protocol), chosen.get(binding.protocol)
            if listener is not None and target is not None:
                situation = Situation(wish.agent, listener, target, credential, gateway.ca_pem, folder, files)
                variables |= binding.make(situation)
        if not variables:
            raise RunFailure(
                f"no client can be bound: the gateway has no listener for {', '.join(sorted(chosen))}",
                hint="`listen` in the gateway's settings says where it listens",
            )
        return variables

    def _child(
        self,
        wish: Wish,
        chosen: Mapping[str, Reachable],
        variables: Mapping[str, str],
        run: Mapping[str, Any],
        certificate: ClientCertificate | None,
        signals: HeldSignals,
    ) -> int:
        unset = detours(self._environ, tuple(chosen))
        if unset:
            self._say(f"unset for the child, because it would go round the gateway: {', '.join(unset)}")
        environ = child_environment(self._environ, variables, unset)
        secrets = secret_names({name: environ[name] for name in environ if name not in variables})
        if secrets:
            self._say(f"the child gets variables that look like secrets: {', '.join(secrets)}")
        path = f"/v1/runs/{run['id']}/renew"

        def renew() -> float:
            answer = self._client.post(path, _asking(certificate), seconds=START_SECONDS)
            if certificate is not None:
                self._keep_certificate(certificate, answer)
            return moment(answer["expires"])

        with Lease(moment(run["expires"]), renew, self._say):
            return signals.run(wish.command, environ)

    def _keep_certificate(self, certificate: ClientCertificate, answer: Mapping[str, Any]) -> None:
        try:
            certificate.renew(answer)
        except OSError as error:
            self._say(f"the run's new certificate can't be kept ({error.strerror}); the old one ends")

    def _end(self, run: Mapping[str, Any], grade: str, code: int) -> None:
        name = run["id"]
        try:
            answer = self._client.post(
                f"/v1/runs/{name}/end",
                {"exit_code": code, "wait": SETTLE_SECONDS},
                seconds=SETTLE_SECONDS + 5,
            )
        except ControlError as error:
            self._say(
                f"run {name} · {grade} · could not be ended ({error.message}); its lease will run out · "
                f"bodycam show {name}"
            )
            return
        sessions, unsealed = answer.get("sessions") or [], answer.get("unsealed") or []
        kept = self._keep(name, answer)
        count = f"{len(sessions)} session{'' if len(sessions) == 1 else 's'}"
        pending = f", {len(unsealed)} unsealed" if unsealed else ""
        replay = f"bodycam replay {sessions[0]}" if len(sessions) == 1 else f"bodycam show {name}"
        self._say(f"run {name} · {grade} · {count}{pending}{kept} · {replay}")

    def _keep(self, name: str, answer: Mapping[str, Any]) -> str:
        if not answer.get("head"):
            return ", no ledger head"
        content = {
            "run": name,
            "gateway": self._client.url,
            "kept": time.time(),
            "head": answer["head"],
            "sessions": answer.get("sessions") or [],
            "unsealed": answer.get("unsealed") or [],
        }
        try:
            keep_head(heads_folder(self._environ), name, content)
        except OSError as error:
            return f", ledger head not kept ({error.strerror})"
        return ""


def _certifiable(gateway: Gateway, chosen: Mapping[str, Reachable]) -> bool:
    """Whether some client of the child will speak TLS to a gateway that takes certificates of runs."""
    listeners = (gateway.listeners.get(protocol) for protocol in chosen)
    return gateway.certificates and any(one is not None and one.tls for one in listeners)


def _asking(certificate: ClientCertificate | None) -> dict[str, Any]:
    return {} if certificate is None else {"csr": certificate.csr}


def moment(value: object) -> float:
    """A time as the API gives it, as seconds of the Unix epoch.

    Raises:
        RunFailure: it is neither a number nor an ISO 8601 text.
    """
    if isinstance(value, int | float):
        return float(value)
    try:
        return datetime.fromisoformat(str(value)).timestamp()
    except ValueError as error:
        raise RunFailure(f"the gateway gave a time that can't be understood: {value!r}") from error


def _started(answer: Mapping[str, Any]) -> tuple[Mapping[str, Any], Credential]:
    try:
        run, credential = answer["run"], answer["credential"]
        secret = Credential(str(credential["user"]), str(credential["secret"]))
        if not _RUN_ID.fullmatch(str(run["id"])) or "expires" not in run:
            raise KeyError("id")
    except (KeyError, TypeError) as error:
        raise RunFailure("the gateway's answer to a new run can't be understood") from error
    return run, secret
