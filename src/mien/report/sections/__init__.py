"""The sections of a report: each turns one result into text, tables and charts."""
