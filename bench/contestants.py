"""Who takes part: one row a client."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["CONTESTANTS", "Contestant", "Home"]


class Home(Enum):
    """Where a client's program finds its libraries."""

    PROJECT = "project"
    FOREIGN = "foreign"
    NODE = "node"


@dataclass(frozen=True)
class Contestant:
    """One client library and how it is run.

    Attributes:
        name: What the table and ``--only`` call it.
        protocol: What the peer speaks.
        program: The file in ``bench/clients``, without its suffix.
        needs: The distribution that must be installed in its home.
        options: Further arguments for the program.
        port: The port that the client insists on; 0 for any.
        host: Where the peer listens.
        measures_idle: False where another row has the same connection.
    """

    name: str
    protocol: str
    program: str
    home: Home = Home.PROJECT
    needs: str = ""
    options: tuple[str, ...] = ()
    port: int = 0
    host: str = "localhost"
    measures_idle: bool = True


CONTESTANTS = (
    Contestant("raw replay MQTT", "mqtt", "replay_mqtt"),
    Contestant("c2dkit MQTT", "mqtt", "c2dkit_device", options=("--transport=mqtt",)),
    Contestant(
        "c2dkit MQTT, default prefetch",
        "mqtt",
        "c2dkit_device",
        options=("--transport=mqtt", "--credit=0"),
        measures_idle=False,
    ),
    Contestant(
        "azure-iot-device",
        "mqtt",
        "azure_iot_device",
        Home.FOREIGN,
        needs="azure-iot-device",
        # It dials port 8883 whatever it is told. An address of its own keeps that clear of a hub on localhost:8883.
        port=8883,
        host="127.0.0.83",
    ),
    Contestant("Node MQTT", "mqtt", "node_device", Home.NODE, options=("--transport=mqtt",)),
    Contestant("raw replay AMQP", "amqp", "replay_amqp"),
    Contestant("c2dkit AMQP, 1 worker", "amqp", "c2dkit_device", options=("--transport=amqp",)),
    Contestant(
        "c2dkit AMQP, 50 workers",
        "amqp",
        "c2dkit_device",
        options=("--transport=amqp", "--workers=50"),
        measures_idle=False,
    ),
    Contestant(
        "c2dkit AMQP, 50 workers, default prefetch",
        "amqp",
        "c2dkit_device",
        options=("--transport=amqp", "--workers=50", "--credit=0"),
        measures_idle=False,
    ),
    Contestant("uamqp", "amqp", "uamqp_async", Home.FOREIGN, needs="uamqp"),
    Contestant(
        "uamqp, default prefetch",
        "amqp",
        "uamqp_async",
        Home.FOREIGN,
        needs="uamqp",
        options=("--credit=0",),
        measures_idle=False,
    ),
    Contestant("Proton", "amqp", "proton_engine", Home.FOREIGN, needs="python-qpid-proton"),
    Contestant("Node AMQP", "amqp", "node_device", Home.NODE, options=("--transport=amqp",)),
)
