//! One file a verb: it composes, calls, prints. Results go to standard output, everything else to standard error.

pub(crate) mod assess;
pub(crate) mod batch;
pub(crate) mod check;
pub(crate) mod config_show;
pub(crate) mod cutover;
pub(crate) mod demo;
pub(crate) mod forecast;
pub(crate) mod forget;
pub(crate) mod generate;
pub(crate) mod inspect;
pub(crate) mod journal;
pub(crate) mod migrate;
pub(crate) mod prepare;
pub(crate) mod rehearse;
pub(crate) mod repair;
pub(crate) mod report;
pub(crate) mod rollback;
pub(crate) mod rollout;
pub(crate) mod serve;
pub(crate) mod show;
pub(crate) mod simulate;
pub(crate) mod status;
pub(crate) mod tap;
pub(crate) mod verify;
