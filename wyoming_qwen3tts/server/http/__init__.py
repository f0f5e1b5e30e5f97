"""The second door: the same voices over HTTP, for programs that speak OpenAI's dialect."""
