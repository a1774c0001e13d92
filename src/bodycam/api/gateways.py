"""/v1/gateway, /v1/targets, /v1/agents: what there is to run and to open."""

import ipaddress
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from bodycam.api.caller import Caller, In, Who
from bodycam.api.context import Control
from bodycam.api.errors import ApiError

router = APIRouter()


class ListenerOut(BaseModel):
    """Where one protocol listens."""

    host: str
    port: int
    tls: bool


class TargetOut(BaseModel):
    """A target; `hosts` are its real addresses, which a run's environment must not name."""

    name: str
    protocol: str
    labels: dict[str, str]
    database: str
    hosts: list[str]


class GatewayOut(BaseModel):
    """What a client of an agent's run needs to know; `certificates` says whether a run can have one.

    `ca_pem` vouches for the listeners, and `interception_ca_pem` for the certificates that the gateway shows
    in a target's stead. `ssh_host_key` is the public line of the key that listeners of SSH prove themselves
    by, null where there are none; where there are, a run can have an SSH certificate.
    """

    version: str
    listeners: dict[str, ListenerOut]
    ca_pem: str | None
    interception_ca_pem: str | None
    ssh_host_key: str | None
    certificates: bool
    targets: list[TargetOut]


class TargetsOut(BaseModel):
    """Targets by name."""

    targets: list[TargetOut]


class AgentOut(BaseModel):
    """A declared agent, and the targets that the caller's runs of it may open."""

    name: str
    owner: str
    description: str
    may_start: bool
    targets: list[str]


class AgentsOut(BaseModel):
    """Agents by name."""

    agents: list[AgentOut]


@router.get("/v1/gateway")
async def gateway(
    context: In, who: Who, request: Request, agent: Annotated[str, Query(min_length=1, max_length=63)]
) -> GatewayOut:
    """The listeners, the CA that vouches for them, and the targets that a run of `agent` may open."""
    access, settings = context.settings.access, context.settings.settings
    who.must_act_for(agent)
    if not access.may_start(who.principal, agent):
        raise ApiError(
            403,
            "may-not-start",
            f"{who.principal} may not start agent {agent!r}",
            "The settings say who may, under agents.<name>.may_start; GET /v1/agents lists yours.",
        )
    asked = request.url.hostname or ""
    listeners = {
        name: ListenerOut(host=_reachable(one.host, asked), port=one.port, tls=settings.tls.enabled)
        for name, one in settings.listen.protocols.items()
    }
    names = access.openable(who.principal, agent)
    return GatewayOut(
        version=context.version,
        listeners=listeners,
        ca_pem=context.ca_pem,
        interception_ca_pem=context.interception_ca_pem,
        ssh_host_key=context.ssh_host_key,
        certificates=context.certificates is not None,
        targets=[_target(context, name) for name in names],
    )


@router.get("/v1/targets")
async def targets(context: In, who: Who) -> TargetsOut:
    """All targets for those who read everything; else those that some agent of the caller may open."""
    settings, access = context.settings.settings, context.settings.access
    names = [
        name
        for name in sorted(settings.targets)
        if who.reads_all or any(access.may_open(who.principal, agent, name) for agent in settings.agents)
    ]
    return TargetsOut(targets=[_target(context, name) for name in names])


@router.get("/v1/agents")
async def agents(context: In, who: Who) -> AgentsOut:
    """All agents for those who read everything; else those that the caller may start."""
    found = [_agent(context, who, name) for name in sorted(context.settings.settings.agents)]
    return AgentsOut(agents=[agent for agent in found if who.reads_all or agent.may_start])


def _agent(context: Control, who: Caller, name: str) -> AgentOut:
    declared, access = context.settings.settings.agents[name], context.settings.access
    return AgentOut(
        name=name,
        owner=declared.owner,
        description=declared.description,
        may_start=who.only_agent in (None, name) and access.may_start(who.principal, name),
        targets=access.openable(who.principal, name),
    )


def _target(context: Control, name: str) -> TargetOut:
    declared = context.settings.settings.targets[name]
    return TargetOut(
        name=name,
        protocol=declared.protocol,
        labels=dict(declared.labels),
        database=declared.default_database,
        hosts=[str(place) for place in declared.hosts or (declared.address,)],
    )


def _reachable(bound: str, asked: str) -> str:
    # a listener on every address is reached under the name by which the caller reached this API
    try:
        everywhere = ipaddress.ip_address(bound).is_unspecified
    except ValueError:
        everywhere = False
    return (asked or "127.0.0.1") if everywhere else bound
