//! Rows whose tenant is NULL: invisible to every tenant, and open to whoever may write the column.

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check {
    id: "BST-021",
    title: "rows have no tenant",
    run,
};

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    for (name, scoped) in posture.scoped.iter().filter(|(_, scoped)| scoped.null_rows > 0) {
        let more = if scoped.null_rows >= 1000 { "1000 or more" } else { &scoped.null_rows.to_string() };
        let message = format!("{more} rows have no tenant in `{}`", scoped.tenant_column);
        let mend = "Give them a tenant, or let `bastide rls cutover` hold them aside.";
        found.push(Weakness::advised(Severity::Warning, name, message, mend).until_cutover(posture));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{findings::found, posture::fixture};

    #[test]
    fn rows_without_a_tenant_are_found() {
        let bad = found(&CHECK, |posture| {
            posture.scoped.get_mut(&fixture::public("orders")).unwrap().null_rows = 3;
        });
        assert_eq!(bad[0].message, "3 rows have no tenant in `merchant_id`");
    }

    #[test]
    fn none_is_silent() {
        assert_eq!(found(&CHECK, |_| ()), []);
    }
}
