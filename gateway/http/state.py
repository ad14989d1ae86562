"""
What the application holds for its routes.
"""

from __future__ import annotations

from starlette.requests import Request

from gateway.services import Services


def services_of(request: Request) -> Services:
    """The services of this application."""
    services: Services = request.app.state.services
    return services
