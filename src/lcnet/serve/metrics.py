"""What is counted, for Prometheus: one registry a process, and the sum of several."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from .exchange import Exchange
from .models import Served

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
TENTHS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
# How what several processes say becomes one number; everything else is added.
_COMBINED: dict[str, Callable[[float, float], float]] = {
    "lcnet_model_info": max,
    "process_max_fds": max,
    "process_start_time_seconds": min,
}


class Histogram(Collector):
    """How often a value fell between which bounds, for each value of one label, or without a label.

    prometheus_client's own goes through all bounds and takes a lock at each, which is more than all else that is counted for
    a request. This belongs to one event loop.
    """

    def __init__(self, name: str, what: str, label: str, bounds: Sequence[float]) -> None:
        self._name, self._what, self._label, self._bounds = name, what, label, bounds
        self._counts: dict[str, list[int]] = {} if label else {"": [0] * (len(bounds) + 1)}
        self._sums = dict.fromkeys(self._counts, 0.0)

    def observe(self, value: float, of: str = "") -> None:
        """Count a value."""
        if of not in self._counts:
            self._counts[of], self._sums[of] = [0] * (len(self._bounds) + 1), 0.0
        self._counts[of][bisect_left(self._bounds, value)] += 1
        self._sums[of] += value

    def collect(self) -> Iterator[Metric]:
        """What Prometheus reads."""
        family = HistogramMetricFamily(self._name, self._what, labels=[self._label] if self._label else [])
        names = [*map(floatToGoString, self._bounds), "+Inf"]
        for of, counts in list(self._counts.items()):
            buckets = list(zip(names, map(float, accumulate(counts)), strict=True))
            family.add_metric([of] if self._label else [], buckets, self._sums[of])
        yield family


class Metrics:
    """The numbers of one process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._known: dict[Any, Any] = {}
        ProcessCollector(registry=registry)
        of: Any = {"registry": registry}
        self._requests = Counter(
            "lcnet_requests", "Requests by route and HTTP status; 499: the client went away", ["route", "status"], **of
        )
        self._rejected = Counter("lcnet_rejected", "Requests that were refused, by the code of the error", ["reason"], **of)
        self._seconds = Histogram("lcnet_request_seconds", "From a request's headers to its answer", "route", SECONDS)
        stages = (("queue", "Waiting for a thread"), ("decode", "Decoding and scaling"), ("network", "The network"))
        self._stages = [Histogram(f"lcnet_{name}_seconds", what, "", SECONDS) for name, what in stages]
        self._pictures = Counter("lcnet_pictures", "Pictures answered", **of)
        self._pixels = Counter("lcnet_pixels", "Pixels decoded", **of)
        self._bytes = Counter("lcnet_received_bytes", "Bytes of bodies", **of)
        self._info = Gauge("lcnet_model_info", "1 for each model that serves", ["name", "sha256", "isa", "precision"], **of)
        self._answers = Counter("lcnet_answers", "Pictures by the best accepted class", ["model", "label"], **of)
        self._unknown = Counter("lcnet_unknown", "Pictures for which no class was accepted", ["model"], **of)
        self._best = Histogram("lcnet_best_probability", "Probability of the best class", "model", TENTHS)
        for histogram in (self._seconds, *self._stages, self._best):
            registry.register(histogram)

    def watch(self, name: str, what: str, value: Callable[[], float]) -> None:
        """Ask for a number whenever all are read."""
        Gauge(name, what, registry=self.registry).set_function(value)

    def models(self, served: Iterable[Served]) -> None:
        """Say which models serve now."""
        self._info.clear()
        for one in served:
            self._info.labels(one.name, one.sha256, one.model.isa, one.model.precision).set(1)

    def answered(self, exchange: Exchange) -> None:
        """Count a request that is over."""
        self._of(self._requests, exchange.route, exchange.status).inc()
        if exchange.code:
            self._of(self._rejected, exchange.code).inc()
        self._seconds.observe(exchange.seconds, exchange.route)
        self._bytes.inc(exchange.bytes)
        if exchange.timing is not None:
            for histogram, value in zip(self._stages, vars(exchange.timing).values(), strict=True):
                histogram.observe(value)
            self._pictures.inc(exchange.pictures)
            self._pixels.inc(exchange.pixels)

    def result(self, model: str, result: Any) -> None:
        """Count what was answered for a picture: how a model's answers drift is seen here."""
        if result.known:
            self._of(self._answers, model, result.label).inc()
        else:
            self._of(self._unknown, model).inc()
        self._best.observe(result.probability, model)

    def _of(self, metric: Any, *labels: object) -> Any:
        """The number of these labels: `labels` takes longer than all else that is done for a request here."""
        found = self._known.get((metric, labels))
        if found is None:
            found = self._known[metric, labels] = metric.labels(*labels)
        return found

    def snapshot(self) -> list[Any]:
        """All numbers as plain values, which can go to another process."""
        return [
            [family.name, family.documentation, family.type, [[s.name, s.labels, s.value] for s in family.samples]]
            for family in self.registry.collect()
        ]

    def text(self) -> bytes:
        """All numbers as Prometheus reads them."""
        return summed([self.snapshot()])


def summed(snapshots: Iterable[list[Any]]) -> bytes:
    """The numbers of several processes as one text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Sum(snapshots))
    return generate_latest(registry)


class _Sum(Collector):
    def __init__(self, snapshots: Iterable[list[Any]]) -> None:
        self._families: dict[str, tuple[str, str, dict[Any, float]]] = {}
        for snapshot in snapshots:
            for name, what, kind, samples in snapshot:
                self._add(self._families.setdefault(name, (what, kind, {}))[2], samples)

    @staticmethod
    def _add(totals: dict[Any, float], samples: Iterable[Any]) -> None:
        for name, labels, value in samples:
            if name.endswith("_created"):
                continue
            key = name, tuple(labels.items())
            combined = _COMBINED.get(name, float.__add__)
            totals[key] = combined(totals[key], float(value)) if key in totals else float(value)

    def collect(self) -> Iterator[Metric]:
        for name, (what, kind, totals) in self._families.items():
            family = Metric(name, what, kind)
            for (sample, labels), value in totals.items():
                family.add_sample(sample, dict(labels), value)
            yield family
