"""Tests of workflow documents: reading, checking, building, drawing, and the conformance features."""
