"""Packages over HTTP and HTTPS (extra `http`): fetched by devices, hosted by servers."""
