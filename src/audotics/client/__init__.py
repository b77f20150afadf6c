"""A client of the HTTP API, synchronous and asynchronous; needs httpx and nothing else of Audotics.

with Client("http://localhost:8000", api_key="aud_...") as client:
slate = client.recommendations("u1", k=20)
client.send_events([Event("u1", slate.tracks[0].track_id, request_id=slate.request_id)])
"""

from audotics.errors import MissingExtraError

try:
    import httpx as _httpx  # noqa: F401 - only to say what is missing
except ImportError as error:
    raise MissingExtraError("the client", "client") from error

from audotics.client.answers import Erased, EventError, EventsTaken, Health, Recommendations, RecommendedTrack
from audotics.client.asynchronous import AsyncClient
from audotics.client.calls import Event
from audotics.client.errors import (
    BusyError,
    ClientError,
    InvalidRequestError,
    NotAllowedError,
    NotFoundError,
    ServerFaultError,
    UnreachableError,
)
from audotics.client.retries import Retries
from audotics.client.synchronous import Client

__all__ = [
    "AsyncClient",
    "BusyError",
    "Client",
    "ClientError",
    "Erased",
    "Event",
    "EventError",
    "EventsTaken",
    "Health",
    "InvalidRequestError",
    "NotAllowedError",
    "NotFoundError",
    "Recommendations",
    "RecommendedTrack",
    "Retries",
    "ServerFaultError",
    "TrackPut",
    "UnreachableError",
]
