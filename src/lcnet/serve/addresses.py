"""What is at which address: endpoints by path and method. A look into a table for most, as each request pays for it."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import Any

from starlette.routing import Route

from .refusals import Refused

Scope = MutableMapping[str, Any]


class Addresses:
    """All routes of an application."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._plain: dict[str, list[Route]] = {}
        self._named: list[Route] = []  # with names in their paths
        for route in routes:
            if route.param_convertors:
                self._named.append(route)
            else:
                self._plain.setdefault(route.path, []).append(route)

    def find(self, scope: Scope) -> Route:
        """The route of a request, whose scope gets the names in its path. Raises `Refused`."""
        path, method = path_of(scope), scope["method"]
        routes = self._plain.get(path) or [route for route in self._named if route.path_regex.match(path)]
        for route in routes:
            if method in (route.methods or ()):
                found = route.path_regex.match(path)
                scope["route"], scope["path_params"] = route, found.groupdict() if found else {}
                return route
        if not routes:
            raise Refused("not_found", "there is nothing at this address: /docs says what there is")
        scope["route"] = routes[0]
        allowed = sorted({method for route in routes for method in route.methods or ()})
        raise Refused("method", "this address takes other methods", {"allow": ", ".join(allowed)})


def path_of(scope: Scope) -> str:
    """The path below where the application is mounted."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
