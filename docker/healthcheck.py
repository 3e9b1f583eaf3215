"""The container's health: exit 0 when /readyz says 200, or when HTTP_PORT=0 turned it off, else 1 and the reasons."""

import os
import sys
from http.client import HTTPConnection

port = int(os.environ.get("HTTP_PORT") or 8080)
if port:
    connection = HTTPConnection("127.0.0.1", port, timeout=4)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        text = response.read().decode()
    except OSError as error:
        sys.exit(f"no answer on port {port}: {error}")
    if response.status != 200:
        sys.exit(text)
