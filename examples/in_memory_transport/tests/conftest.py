"""Has pytest print what the legs have proved."""

pytest_plugins = ["c2dkit.testing.contract"]
