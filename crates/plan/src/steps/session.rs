//! Settings that scripts which touch rows begin with.

use bastide_sql::{Sql, sql};

/// A filtered read must never pass for a full one: with this it is an error instead.
pub(super) fn unfiltered() -> Vec<Sql> {
    vec![sql!("SET LOCAL row_security = off")]
}

/// For writes the legacy schema must not react to: its triggers (`updated_at`, audits, ours) stay asleep.
pub(super) fn silent() -> Vec<Sql> {
    vec![sql!("SET LOCAL row_security = off"), sql!("SET LOCAL session_replication_role = replica")]
}

/// Values print as they did when inference wrote them down (see `crate::inference::prelude`): a row without a key is
/// known by a hash of its text.
pub(super) fn canonical_text() -> Vec<Sql> {
    vec![
        sql!("SET LOCAL DateStyle = 'ISO, YMD'"),
        sql!("SET LOCAL IntervalStyle = 'postgres'"),
        sql!("SET LOCAL TimeZone = 'UTC'"),
        sql!("SET LOCAL extra_float_digits = 1"),
        sql!("SET LOCAL bytea_output = 'hex'"),
    ]
}
