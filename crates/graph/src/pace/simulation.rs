//! A simulated server in virtual time.
