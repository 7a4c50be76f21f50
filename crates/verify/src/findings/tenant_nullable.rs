//! A row without a tenant belongs to nobody: no tenant sees it, and nothing stops it from being written.

use bastide_sql::sql;

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check {
    id: "BST-020",
    title: "a tenant column may be NULL",
    run,
};

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    for (table, scoped) in posture.scoped_tables() {
        if table.column(&scoped.tenant_column).is_some_and(|column| !column.not_null) {
            let message = format!("its tenant column `{}` accepts NULL", scoped.tenant_column);
            let mend = sql!("ALTER TABLE {} ALTER COLUMN {} SET NOT NULL", table.name, scoped.tenant_column);
            found.push(Weakness::new(Severity::Warning, &table.name, message, mend).until_cutover(posture));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{findings::found, posture::fixture};

    #[test]
    fn a_nullable_tenant_is_found_and_pending_before_cutover() {
        for pending in [true, false] {
            let bad = found(&CHECK, |posture| {
                posture.pending_cutover = pending;
                fixture::spoil(posture, "orders").columns[1].not_null = false;
            });
            assert_eq!((bad[0].object.as_str(), bad[0].pending_cutover), ("public.orders", pending));
        }
    }

    #[test]
    fn other_nullable_columns_are_silent() {
        assert_eq!(found(&CHECK, |posture| fixture::spoil(posture, "lines").columns[1].not_null = false), []);
    }
}
