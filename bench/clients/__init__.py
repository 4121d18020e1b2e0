"""One small program per client library; each receives and acknowledges as fast as its library lets it."""
