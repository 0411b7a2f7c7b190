//! Seeded random histories of a small company: forward, deaths, faults, other people's changes in the cloud, pauses, the
//! way back, forward again, over the kind in one process, with time that stands still.
//!
//! A seed decides the company, the policy, the steps and the faults. The judge is the tenant: its journal and its state,
//! never what the product says of itself. One thread runs a history, tenant and all; nobody waits for real time.

mod clock;
mod cloud;
mod company;
mod door;
mod judge;
mod office;
mod rig;
mod steps;
mod story;
mod walk;

pub use story::{Finding, Story, Totals};
pub use walk::walk;
