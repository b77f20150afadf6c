"""What keeps a service answering: deadlines, breakers, admission, one computation per key, lookouts."""

from audotics.resilience.admission import Admission
from audotics.resilience.breaker import BreakerState, CircuitBreaker
from audotics.resilience.deadline import Deadline
from audotics.resilience.lone_worker import LoneWorker
from audotics.resilience.lookout import Lookout
from audotics.resilience.single_flight import SingleFlight

__all__ = ["Admission", "BreakerState", "CircuitBreaker", "Deadline", "LoneWorker", "Lookout", "SingleFlight"]
