"""The local API of a mine: FastAPI, loopback, one owner. Its document: docs/openapi/mine.json."""

from openmined.mine.api._app import create_app, openapi_document, protected
from openmined.mine.api._make import make_context
from openmined.mine.api._serve import ApiProcess

__all__ = ["ApiProcess", "create_app", "make_context", "openapi_document", "protected"]
