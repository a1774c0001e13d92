"""One `bodycam run` from its first call to its last line."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bodycam.net.control_client import ControlClient, ControlError
from bodycam.run.binding import Binding, Credential, Situation
from bodycam.run.bound import CHOOSING, bindings_of, private_home, reachable
from bodycam.run.child import HeldSignals
from bodycam.run.environment import (
    AWAY_FROM_HOME,
    bypasses,
    child_environment,
    detours,
    secret_names,
)
from bodycam.run.failure import RunFailure
from bodycam.run.gateway import Gateway, Reachable, choose, gateway_from
from bodycam.run.grade import measure
from bodycam.run.heads import heads_folder, keep_head
from bodycam.run.lease import Lease
from bodycam.run.private_folder import PrivateFolder
from bodycam.run.proofs import Proofs

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
    private_home: bool = False


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
            chosen = choose(gateway, wish.agent, wish.targets, CHOOSING)
            bindings = bindings_of(gateway, chosen)
            self._refuse_bypass(wish, gateway, bindings)
            grade = measure(self._client.url, [host for one in gateway.targets for host in one.hosts])
            stopped = signals.stop_asked()
            if stopped is not None:
                return stopped
            proofs = Proofs(tls=_certifiable(gateway, chosen), ssh="ssh" in gateway.listeners)
            body = self._request(wish, str(grade)) | proofs.asking
            started = self._client.post("/v1/runs", body, seconds=START_SECONDS)
            run, credential = _started(started)
            code = 1
            try:
                with PrivateFolder() as folder, ExitStack() as until:
                    files = proofs.put(folder, started, until)
                    made = [
                        (
                            one,
                            Situation(
                                wish.agent,
                                reachable(one, gateway, until),
                                chosen.get(one.protocol),
                                credential,
                                gateway.ca_pem,
                                folder,
                                files.certificate,
                                gateway.interception_ca_pem,
                                self._environ,
                                gateway.targets,
                                files.ssh,
                                gateway.ssh_host_key,
                            ),
                        )
                        for one in bindings
                    ]
                    variables = self._variables(wish, made, folder)
                    unset = self._unset(wish, bindings, variables)
                    code = self._child(wish, variables, unset, run, proofs, signals)
            except RunFailure as failure:
                code = failure.code
                raise
            finally:
                self._end(run, str(run.get("grade") or grade), code)
            return code

    def _refuse_bypass(self, wish: Wish, gateway: Gateway, bindings: Sequence[Binding]) -> None:
        carried = {scheme for one in bindings for scheme in one.carries}
        found = bypasses(self._environ, gateway.targets, carried)
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
        self, wish: Wish, made: Sequence[tuple[Binding, Situation]], folder: PrivateFolder
    ) -> Mapping[str, str]:
        variables: dict[str, str] = {}
        for binding, situation in made:
            variables |= binding.make(situation)
        if wish.private_home:
            variables |= private_home(folder, made)
        return variables

    def _unset(self, wish: Wish, bindings: Sequence[Binding], variables: Mapping[str, str]) -> list[str]:
        around = detours(self._environ, [one.protocol for one in bindings])
        unset = [name for name in around if name not in variables]
        replaced = [name for name in around if name in variables]
        if unset:
            self._say(f"unset for the child, because it would go round the gateway: {', '.join(unset)}")
        if replaced:
            self._say(f"replaced for the child, because it would go round the gateway: {', '.join(replaced)}")
        away = [name for name in AWAY_FROM_HOME if wish.private_home and name in self._environ]
        if away:
            self._say(f"unset for the child, because it would go round its private HOME: {', '.join(away)}")
        return unset + away

    def _child(
        self,
        wish: Wish,
        variables: Mapping[str, str],
        unset: Sequence[str],
        run: Mapping[str, Any],
        proofs: Proofs,
        signals: HeldSignals,
    ) -> int:
        environ = child_environment(self._environ, variables, unset)
        secrets = secret_names({name: environ[name] for name in environ if name not in variables})
        if secrets:
            self._say(f"the child gets variables that look like secrets: {', '.join(secrets)}")
        path = f"/v1/runs/{run['id']}/renew"

        def renew() -> float:
            answer = self._client.post(path, proofs.asking, seconds=START_SECONDS)
            self._keep_certificates(proofs, answer)
            return moment(answer["expires"])

        with Lease(moment(run["expires"]), renew, self._say):
            return signals.run(wish.command, environ)

    def _keep_certificates(self, proofs: Proofs, answer: Mapping[str, Any]) -> None:
        try:
            proofs.renew(answer)
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
