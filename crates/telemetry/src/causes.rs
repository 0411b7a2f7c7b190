//! Errors for a log line or a row: the error and what caused it, in one line. Our errors name no number, secret or token,
//! and neither do the libraries' that they carry.

/// An error with its causes, in one line; a cause that only repeats what was said is left out.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let said = source.to_string();
        if !words.contains(&said) {
            words = format!("{words}: {said}");
        }
        cause = source.source();
    }
    words
}
