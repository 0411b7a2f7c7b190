//! Forged journals, one for each rule: the judge must find what is wrong in each.
