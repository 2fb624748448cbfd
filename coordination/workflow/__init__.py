"""Workflows as code: documents of the Open Workflow Specification 1.0.3, read, checked and built."""
