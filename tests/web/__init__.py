"""Tests of the JavaScript library. As a package they can share a browser: it closes before other tests use asyncio."""
