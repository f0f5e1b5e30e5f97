"""To come."""

from __future__ import annotations

from fastapi import APIRouter

from .parts import Parts


def routes(parts: Parts) -> APIRouter:
    """Return the routes."""
    return APIRouter()
