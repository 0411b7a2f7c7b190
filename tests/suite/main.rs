//! The suite: one binary over the whole product, with real HTTP, real files and real processes.
//!
//! Nothing of our own is mocked; the far side is the simulated tenant in a process of its own. No test asserts a time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod assess;
mod batches;
mod broker;
mod cases;
mod cutover;
mod deploy;
mod faults;
mod fleet;
mod fleet_batches;
mod fleet_controls;
mod fleet_deaths;
mod fleet_faults;
mod fleet_keys;
mod fleet_orders;
mod fleet_silence;
mod fleet_verbs;
mod forecast;
mod forget;
mod golden;
mod histories;
mod in_step;
mod input;
mod journal;
mod journey;
mod kills;
mod leaks;
mod observability;
mod openapi;
mod plans;
mod postgres;
mod postgres_crowd;
mod reports;
mod rollout;
mod rollout_crowd;
mod rollout_groups;
mod runbook;
mod services;
mod tap;
mod tap_crowd;
mod tidy;
mod tls;
mod traces;
mod way_back;
