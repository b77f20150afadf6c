"""What keeps a service answering: deadlines, circuit breakers, admission, one computation per key."""

from audotics.resilience.admission import Admission
from audotics.resilience.breaker import BreakerState, CircuitBreaker
from audotics.resilience.deadline import Deadline
from audotics.resilience.lone_worker import LoneWorker
from audotics.resilience.single_flight import SingleFlight

__all__ = ["Admission", "BreakerState", "CircuitBreaker", "Deadline", "LoneWorker", "SingleFlight"]
