"""A server that floods one client with cloud-to-device messages and counts what the client acknowledges."""
