"""
The two servers that the tests need, and the four ways to have one: given, already running, container, temporary.
"""

import os
import subprocess
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from ops.services import probe, temporary
from ops.services.container import container_is_alive, start_container
from ops.services.probe import Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """
    What there is to know about one server: how to ask it, where to look for it, how to start it.
    """

    name: str
    variable: str
    version: Callable[[str], str]
    usual_urls: tuple[str, ...]
    image: str
    image_port: int
    image_environment: Mapping[str, str]
    image_url: str
    package: str
    start: Callable[[ExitStack], tuple[str, "subprocess.Popen[bytes]"]]


@dataclass(frozen=True, slots=True)
class Found:
    """
    A server that answered: its address, and where it comes from, in French.
    """

    url: str
    version: str
    origin: str


def given(service: Service, _: ExitStack) -> Found:
    """
    The server whose address is in the environment.
    """
    url = os.environ.get(service.variable, "")
    if not url:
        raise Unavailable(f"{service.variable} n'est pas définie (not set)")
    return Found(url, service.version(url), f"adresse donnée par {service.variable}")


def running(service: Service, _: ExitStack) -> Found:
    """
    A server that already runs at its usual address on this machine; it is left as it is.
    """
    reasons = []
    for url in service.usual_urls:
        try:
            return Found(url, service.version(url), f"déjà en marche sur {url.rpartition('@')[2].partition('/')[0]}")
        except Unavailable as unavailable:
            reasons.append(str(unavailable))
    raise Unavailable(" ; ".join(dict.fromkeys(reasons)))


def container(service: Service, stack: ExitStack) -> Found:
    """
    A container of the official image, removed at the end.
    """
    name, port = start_container(service.image, service.image_port, service.image_environment, stack)
    url = service.image_url.format(port=port)
    version = probe.wait_for(service.version, url, lambda: container_is_alive(name))
    return Found(url, version, f"conteneur temporaire {service.image}, port {port}")


def own(service: Service, stack: ExitStack) -> Found:
    """
    A temporary server from the programs installed here; for root on Debian, the package is installed first if need be.
    """
    try:
        url, process = service.start(stack)
    except temporary.NotInstalled:
        temporary.install_debian_package(service.package)
        url, process = service.start(stack)
    version = probe.wait_for(service.version, url, lambda: process.poll() is None)
    return Found(url, version, f"serveur temporaire, port {url.rpartition(':')[2].partition('/')[0]}")


POSTGRESQL = Service(
    name="PostgreSQL",
    variable="TDU_TEST_POSTGRES_URL",
    version=probe.postgresql_version,
    usual_urls=tuple(
        f"postgresql+asyncpg://{role}@127.0.0.1:5432/postgres"
        for role in dict.fromkeys(("postgres", os.environ.get("USER") or "postgres"))
    ),
    image="postgres:17.6",
    image_port=5432,
    image_environment={"POSTGRES_HOST_AUTH_METHOD": "trust"},
    image_url="postgresql+asyncpg://postgres@127.0.0.1:{port}/postgres",
    package="postgresql",
    start=temporary.start_postgresql,
)

RABBITMQ = Service(
    name="RabbitMQ",
    variable="TDU_TEST_AMQP_URL",
    version=probe.rabbitmq_version,
    usual_urls=("amqp://guest:guest@127.0.0.1:5672/",),
    image="rabbitmq:4.1.4",
    image_port=5672,
    image_environment={},
    image_url="amqp://guest:guest@127.0.0.1:{port}/",
    package="rabbitmq-server",
    start=temporary.start_rabbitmq,
)
