//! Tests of the rules as a whole. A row of the table must never be made to fit the code: the table restates
//! `sync-rules.md`, and every rule and every code of it is covered.

mod assessing;
mod case;
mod cutover;
mod eta;
mod forecast;
mod numbers;
mod passes;
mod properties;
mod rollout;
mod rows_phones;
mod rows_tokens;
mod rows_users;
mod small;
mod steps;
mod table;
mod tenant;
mod way_back;
mod windows;
