//! Whole runs on small databases: every way a run can go, and back.

mod kill;
mod legacy;
mod refusals;
mod round_trip;
mod scene;
