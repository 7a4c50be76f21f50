//! Whose a row is, from the rows it hangs together with: pure code that emits set-wise SQL. No row leaves the database.
//!
//! Each row of a scoped table holds *unknown* < *one tenant* < *conflict*. A filled tenant column is a fact that nothing
//! overrides. The others are decided in strata: first by what their parents say (down a foreign key), as far as that goes;
//! those still unknown by what their children say (up); then down again from what is new, and so on, until a stratum
//! decides nothing. Within a stratum the least fixpoint holds, so it does not depend on the order in which keys are looked
//! at; what a stratum has decided, no later one changes.
//!
//! A conflict is handed down to rows that know nothing else. Upwards, children that an earlier stratum left in conflict are
//! silent: one muddled order says nothing of its customer, and so cannot take the customer's other orders with it.
//!
//! The work tables know rows by `ctid`, which means something within one snapshot only: every script here must run in one
//! REPEATABLE READ transaction that begins with [`prelude`], and says so when it does not.
//!
//! What the scripts record is keyed by the table that *holds* the row: partitions and inheritance children appear under
//! their own names in `bastide.rule`, `bastide.assignment` and `bastide.held`.

mod chunks;
mod components;
mod confirm;
mod duplicates;
mod graph;
mod hold;
mod measure;
mod order;
mod ownership;
mod record;
mod render;
mod rounds;
mod rules;
mod seeds;
mod settle;
#[cfg(test)]
mod tests;
mod work;

pub use components::{Components, MOST_ROWS, components};
pub use confirm::{a_parent_agrees, crossings, path};
pub use duplicates::{DuplicateMeasure, duplicates};
pub use graph::{Edge, Graph, Link, Node, leaves};
pub use hold::{HeldLayout, HeldReference, HoldAsideScripts, collisions, hold_aside, orphans};
pub use measure::{
    LinkMeasure, SurveyScript, TableMeasure, UsageMeasure, crossing_counts, survey_script, usage_script,
};
pub use ownership::ownership;
pub(crate) use record::{CHUNK, row_hash};
pub use record::{REOPENING, SECOND, assign_script, declare_script, row_key, rules_of_pass};
pub use render::{Side, catalog_path, collations, joined, layout};
pub use rules::{RuleMeasure, RulePair, RuleReading, rule_measures, rule_readings};
pub use seeds::{Given, Says, Seed, create_given, give};
pub use settle::{Fresh, How, LostReference, SettleChecks, SettleScripts, SettledLink, settle_links};

pub(crate) use render::{path_of, tenant_of};

use bastide_sql::{Sql, sql};

/// What a transaction that runs these scripts begins with; its first statement must come before any query.
#[must_use]
pub fn prelude() -> Vec<Sql> {
    vec![
        sql!("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"),
        // A filtered read must never pass for a full one.
        sql!("SET LOCAL row_security = off"),
        sql!("SET LOCAL statement_timeout = 0"),
        // Work tables have no statistics, so the server would compile queries that are over before it has.
        sql!("SET LOCAL jit = off"),
        // For each sort and hash table, of which a statement has a few: beyond that they go to disk, however many rows there
        // are. Larger ones were not faster.
        sql!("SET LOCAL work_mem = '16MB'"),
        sql!("SET LOCAL hash_mem_multiplier = 1"),
        sql!("SET LOCAL maintenance_work_mem = '32MB'"),
        // Keys are compared and stored as text: what a value prints as must not depend on who asks.
        sql!("SET LOCAL DateStyle = 'ISO, YMD'"),
        sql!("SET LOCAL IntervalStyle = 'postgres'"),
        sql!("SET LOCAL TimeZone = 'UTC'"),
        sql!("SET LOCAL extra_float_digits = 1"),
        sql!("SET LOCAL bytea_output = 'hex'"),
    ]
}
