"""Exits 0 when the process of this container answers GET /ready: what its health check runs."""

from __future__ import annotations

import os
import sys
from http.client import HTTPConnection, HTTPException

ASK_S_MAX = 3


def main() -> int:
    """0 ready, 1 not."""
    port = os.environ.get("READY_PORT") or os.environ.get("TRADING_LLM_HTTP_PORT", "8081")
    connection = HTTPConnection("127.0.0.1", int(port), timeout=ASK_S_MAX)
    try:
        connection.request("GET", "/ready")
        return 0 if connection.getresponse().status == 200 else 1
    except (OSError, HTTPException):
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
