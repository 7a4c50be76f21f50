//! What the operator of a random world declares, in the form that plans take it; and what it says of the rows.

use std::collections::BTreeMap;

use bastide_plan::{
    Declarations, DeclaredReference, GivenKey, GivenKeys, Rule,
    inference::{Given, give},
};
use bastide_sql::{Sql, sql};
use bastide_testkit::truth::{Own, Says, Through, Undeclared, Visible, World};
use tokio_postgres::Client;

use crate::{measure::run, worlds::Truths};

/// The tenants of a world are 1 to this.
const TENANTS: u32 = 3;

pub(crate) fn declarations(world: &World) -> Declarations {
    let rules = (0..world.tables.len()).filter_map(|table| rule(world, table));
    Declarations { references: references(world), rules: rules.collect(), ..Declarations::default() }
}

fn references(world: &World) -> Vec<DeclaredReference> {
    let mut found = Vec::new();
    for (table, made) in world.tables.iter().enumerate() {
        for (r, reference) in made.references.iter().enumerate() {
            if reference.through != Through::ForeignKey {
                found.push(DeclaredReference {
                    table: World::name(table),
                    columns: world.reference_columns(table, r),
                    references: World::name(reference.to),
                    referenced_columns: world.target_columns(reference),
                });
            }
        }
    }
    found
}

/// The same for whoever reads the rows without us.
pub(crate) fn undeclared(world: &World) -> Vec<Undeclared> {
    let declared = Declarations { references: references(world), ..Declarations::default() };
    let told = |reference: &DeclaredReference| Undeclared {
        name: declared.name_of(reference),
        from: (reference.table.clone(), reference.columns.clone()),
        to: (reference.references.clone(), reference.referenced_columns.clone()),
    };
    declared.references.iter().map(told).collect()
}

fn rule(world: &World, table: usize) -> Option<Rule> {
    let says = world.tables[table].rule?;
    let mut rule = Rule {
        name: format!("of t{table}"),
        table: World::name(table),
        when: None,
        tenant: None,
        column: None,
        tenants: BTreeMap::new(),
        csv: None,
        csv_sha256: None,
        keys: None,
    };
    match says {
        Says::Expression => {
            let expression = sql!("{}::{}", World::mark(), world.tenant_type());
            rule.tenant = Some(expression.as_str().parse().unwrap());
            rule.when = Some(sql!("{} IS NOT NULL", World::mark()).as_str().parse().unwrap());
        }
        Says::Mapping => {
            rule.column = Some(World::mark());
            rule.tenants = (1..=TENANTS).map(|tenant| (World::word(tenant), world.tenant(tenant))).collect();
        }
        Says::Csv => {
            let rows = world.tables[table].rows.iter().enumerate();
            let given = rows.filter_map(|(no, row)| {
                let tenant = world.tenant(World::ruled(row)?);
                Some(GivenKey { line: no + 2, key: world.key_texts(table, no), tenant })
            });
            rule.csv = Some("keys.csv".to_owned());
            rule.keys = Some(GivenKeys { columns: world.key_columns(table), rows: given.collect() });
        }
    }
    Some(rule)
}

/// Brings in the keys of files, where a run keeps them.
pub(crate) async fn give_keys(client: &Client, world: &World) {
    let mut script: Vec<Sql> = Vec::new();
    for (table, rule) in (0..world.tables.len()).filter_map(|table| Some((table, rule(world, table)?))) {
        if let Some(keys) = &rule.keys {
            script.extend(give(Given::Run, &rule.name, &world.key_types(table), &world.tenant_type(), keys));
        }
    }
    run(client, &script).await;
}

/// What rules say of the rows that have no tenant.
pub(crate) fn declare(world: &World, truths: &Truths<'_>, seen: &mut Visible) {
    for (place, own) in seen.places.iter().zip(&mut seen.own).filter(|(_, own)| **own == Own::Open) {
        if let Some(tenant) = truths.row(place).and_then(World::ruled) {
            *own = Own::Declared(world.tenant(tenant));
        }
    }
}
