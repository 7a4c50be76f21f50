//! Inference for a run: what was found goes into `bastide.rule` and `bastide.assignment`.

use bastide_sql::{Ident, Sql, join, sql};

use super::Graph;

/// Every row whose tenant column is NULL gets one line in `bastide.assignment`; `quarantine` receives what no evidence
/// settles. `pass` keeps the rule ids of one run's passes apart; a pass that finds no NULL is over at once.
#[must_use]
pub fn assign_script(graph: &Graph, quarantine: Option<&str>, pass: u32) -> Vec<Sql> {
    super::rounds::assign(graph, quarantine, pass)
}

/// How `bastide.assignment.key` and `bastide.held.key` name a row of the table that `alias` stands for: its key's values
/// as text, or, without a key, a hash of its original columns.
#[must_use]
pub fn row_key(alias: &Ident, key: &[Ident], original_columns: &[Ident]) -> Sql {
    if key.is_empty() {
        let columns = original_columns.iter().map(|column| sql!("{}.{}", alias, column));
        sql!("jsonb_build_array('md5:' || md5(ROW({})::text))", join(columns, ", "))
    } else {
        let columns = key.iter().map(|column| sql!("{}.{}::text", alias, column));
        sql!("jsonb_build_array({})", join(columns, ", "))
    }
}
