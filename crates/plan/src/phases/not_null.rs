//! NOT NULL without a scan under a strong lock: a check NOT VALID, its validation, SET NOT NULL, and the check goes.

use std::collections::BTreeSet;

use bastide_sql::QualifiedName;

use super::Planning;
use crate::{
    Phase, Step,
    steps::{AddNotNullCheck, DropCheck, SetNotNull, ValidateConstraint},
};

/// For every tenant column that is not NOT NULL yet.
pub(super) fn plan(planning: &mut Planning<'_>, phase: Phase) {
    for (table, column) in planning.scoped_but_root() {
        // What an earlier iteration did to a parent has reached its children.
        if planning.column(&table, &column.name).is_none_or(|column| column.not_null) {
            continue;
        }
        let name = planning.constraint_name(&table, table.name.as_str(), "_has_tenant");
        let column = column.name;
        let check = AddNotNullCheck { table: table.clone(), column: column.clone(), name: name.clone() };
        planning.emit(phase, Step::AddNotNullCheck(check));
        // Children one by one first: validating the parent then finds them done, and no single step takes long.
        for table in descendants_first(planning, &table) {
            let validate = ValidateConstraint { table, name: name.clone(), referenced: None };
            planning.emit(phase, Step::ValidateConstraint(validate));
        }
        planning.emit(phase, Step::SetNotNull(SetNotNull { table: table.clone(), column: column.clone() }));
        planning.emit(phase, Step::DropCheck(DropCheck { table, column, name }));
    }
}

fn descendants_first(planning: &Planning<'_>, table: &QualifiedName) -> Vec<QualifiedName> {
    let mut found = vec![table.clone()];
    let mut seen = BTreeSet::from([table.clone()]);
    let mut at = 0;
    while let Some(next) = found.get(at).and_then(|name| planning.catalog.table(name)) {
        for child in &next.children {
            if planning.catalog.table(child).is_some() && seen.insert(child.clone()) {
                found.push(child.clone());
            }
        }
        at += 1;
    }
    found.reverse();
    found
}
