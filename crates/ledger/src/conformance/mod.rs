//! The conformance suite: what every dialect must do. Placeholder order of topics follows the trait.
