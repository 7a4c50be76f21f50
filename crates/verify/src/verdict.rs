//! What verification says; the types live in `bastide-record`, where a report can read them without a connection.

pub use bastide_record::{Cell, Context, DatabaseId, Finding, Outcome, Path, Probe, Severity, Verb, Verdict};
