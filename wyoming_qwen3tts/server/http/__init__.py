"""The HTTP server: OpenAI's speech API, a WebSocket, the cache, metrics and the web page."""
