//! What SQLite alone promises: its file, its mode, its refusals. The rest is the conformance suite's.
