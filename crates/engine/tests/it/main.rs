//! Whole runs on small databases: every way a run can go, and back.

mod backup;
mod between_commits;
mod code;
mod keys;
mod kill;
mod legacy;
mod lost;
mod older;
mod older_kept;
mod part_way;
mod preflight;
mod public_grants;
mod refusals;
mod round_trip;
mod scene;
mod upgrade;
