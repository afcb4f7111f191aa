"""Running the application under uvicorn, on a port that is known to be free."""

from __future__ import annotations

import copy
import errno
import socket

import uvicorn
from starlette.applications import Starlette
from uvicorn.config import LOGGING_CONFIG

from kg.errors import NextlineError


class PortUnavailable(NextlineError):
    """The address to serve on cannot be had."""

    slug = "port-unavailable"


def reserve(host: str, port: int) -> socket.socket:
    """A socket bound to the address; port 0 takes any that is free.

    Raises PortUnavailable, naming the address and the option that changes it.
    """
    place = f"{host}:{port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise PortUnavailable(place, f"the host cannot be used ({error}).", "Give another with --host.") from None
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise PortUnavailable(
                place, f"port {port} is in use by another program.", "Stop it, or give another port with --port."
            ) from None
        raise PortUnavailable(
            place, f"the address cannot be used ({error.strerror}).", "Give another with --host and --port."
        ) from None
    return bound


def address_of(bound: socket.socket) -> str:
    """The URL of a bound socket."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: Starlette, bound: socket.socket) -> None:
    """Serve until interrupted."""
    log = copy.deepcopy(LOGGING_CONFIG)
    log["loggers"]["nextline"] = {"handlers": ["default"], "level": "INFO", "propagate": False}
    config = uvicorn.Config(
        app,
        log_config=log,
        log_level="info",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    uvicorn.Server(config).run(sockets=[bound])
