//! Whether what was declared fits the schema; what only rows can tell, the survey measures.

use std::collections::{BTreeMap, BTreeSet};

use bastide_catalog::{Catalog, Table, TypeName};
use bastide_sql::{Ident, QualifiedName};

use super::{DeclaredReference, Rule};
use crate::{Config, Refusal, RootChoice, classify::near, refusal::one_of};

/// # Errors
/// The first declaration that cannot be meant, by its name, with what is wrong.
pub(crate) fn check(catalog: &Catalog, config: &Config) -> Result<(), Refusal> {
    let declared = &config.declared;
    if let (RootChoice::New(root), false) = (&config.root, declared.rules.is_empty()) {
        let why = format!("with --new-tenant-root {root} every row there is belongs to one tenant");
        return Err(refuse("[[rule]]", why));
    }
    let mut seen: BTreeSet<&DeclaredReference> = BTreeSet::new();
    for reference in &declared.references {
        let of = format!("[[reference]] of {}", reference.table);
        if !seen.insert(reference) {
            return Err(refuse(&of, "it stands there twice".to_owned()));
        }
        one_reference(catalog, reference).map_err(|why| refuse(&of, why))?;
    }
    let mut names: BTreeMap<&str, &QualifiedName> = BTreeMap::new();
    for rule in &declared.rules {
        let of = format!("[[rule]] {}", rule.name);
        if let Some(other) = names.insert(&rule.name, &rule.table) {
            return Err(refuse(&of, format!("another rule (of {other}) has the same name")));
        }
        one_rule(catalog, config, rule).map_err(|why| refuse(&of, why))?;
    }
    Ok(())
}

fn refuse(of: &str, why: String) -> Refusal {
    Refusal::Declaration { of: of.to_owned(), why }
}

fn one_reference(catalog: &Catalog, reference: &DeclaredReference) -> Result<(), String> {
    let (child, parent) = (table(catalog, &reference.table)?, table(catalog, &reference.references)?);
    let (ours, theirs) = (&reference.columns, &reference.referenced_columns);
    if ours.is_empty() || ours.len() != theirs.len() {
        return Err(format!(
            "columns has {} names and referenced_columns has {}; each takes the same number, at least one",
            ours.len(),
            theirs.len()
        ));
    }
    for (our, their) in ours.iter().zip(theirs) {
        let (our_type, their_type) = (column(child, our)?, column(parent, their)?);
        if our_type != their_type && !alike(our_type, their_type) {
            return Err(format!(
                "{our} is {our_type} and {} of {} is {their_type}; their values cannot be compared",
                their, parent.name
            ));
        }
    }
    let unique = |key: &bastide_catalog::Key| {
        key.columns.iter().collect::<BTreeSet<_>>() == theirs.iter().collect::<BTreeSet<_>>()
    };
    if !parent.keys.iter().any(unique) {
        let listed = theirs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        return Err(format!("({listed}) of {} is no unique key, so it does not name one row", parent.name));
    }
    if child.name == parent.name && ours.iter().zip(theirs).all(|(our, their)| our == their) {
        return Err(format!(
            "each row of {} would reference itself, which says nothing of whose it is",
            parent.name
        ));
    }
    Ok(())
}

/// Types whose values the server compares without being told how.
fn alike(a: &TypeName, b: &TypeName) -> bool {
    let text = |name: &str| name == "text" || name.starts_with("character");
    let whole = |name: &str| ["smallint", "integer", "bigint"].contains(&name);
    let (a, b) = (a.as_str(), b.as_str());
    (text(a) && text(b)) || (whole(a) && whole(b))
}

fn one_rule(catalog: &Catalog, config: &Config, rule: &Rule) -> Result<(), String> {
    let found = table(catalog, &rule.table)?;
    if matches!(&config.root, RootChoice::Existing(root) if *root == rule.table) {
        return Err(format!("{} is the tenant root; its rows are the tenants", rule.table));
    }
    if let Some(excluded) = crate::classify::excluded(config, &rule.table) {
        return Err(format!("{} is {excluded}", rule.table));
    }
    let mapping = rule.column.is_some() || !rule.tenants.is_empty();
    let ways: Vec<&str> = [
        (rule.tenant.is_some(), "`tenant`"),
        (mapping, "`column` with `tenants`"),
        (rule.csv.is_some(), "`csv`"),
    ]
    .into_iter()
    .filter_map(|(given, way)| given.then_some(way))
    .collect();
    match ways.as_slice() {
        [] => return Err("it says nothing; give it tenant, or column and tenants, or csv".to_owned()),
        [_] => {}
        several => return Err(format!("it has {}; it takes one of them", several.join(" and "))),
    }
    match (&rule.column, rule.tenants.is_empty()) {
        (Some(_), true) => return Err("column wants tenants = { value = \"tenant\" }".to_owned()),
        (None, false) => return Err("tenants wants the column whose values they are".to_owned()),
        (Some(name), false) => drop(column(found, name)?),
        (None, true) => {}
    }
    if rule.csv.is_some() {
        let keys = rule.keys.as_ref().ok_or("its csv file was not read")?;
        for name in &keys.columns {
            column(found, name)?;
        }
        let named: BTreeSet<&Ident> = keys.columns.iter().collect();
        if !found.keys.iter().any(|key| key.columns.iter().collect::<BTreeSet<_>>() == named) {
            let listed = keys.columns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(format!("the columns of its csv file ({listed}) are no key of {}", rule.table));
        }
    }
    Ok(())
}

fn table<'a>(catalog: &'a Catalog, name: &QualifiedName) -> Result<&'a Table, String> {
    catalog.table(name).ok_or_else(|| {
        let near: Vec<String> = near(catalog, name).iter().map(ToString::to_string).collect();
        let hint = if near.is_empty() { String::new() } else { format!("; did you mean {}?", one_of(&near)) };
        format!("there is no table {name}{hint}")
    })
}

fn column<'a>(table: &'a Table, name: &Ident) -> Result<&'a TypeName, String> {
    table.column(name).map(|column| &column.type_name).ok_or_else(|| {
        let there: Vec<String> = table.columns.iter().map(|column| column.name.to_string()).collect();
        format!("{} has no column {name}; it has {}", table.name, there.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        GivenKeys,
        fixture::{Fixture, existing, ident, name},
    };

    fn shop() -> Catalog {
        Fixture::new()
            .table("merchants", &["id integer pk", "code text unique"])
            .table("orders", &["id integer pk", "shop_code text"])
            .catalog()
    }

    fn refused(change: impl FnOnce(&mut Config)) -> String {
        let mut config = existing("merchants");
        change(&mut config);
        check(&shop(), &config).expect_err("it is wrong").to_string()
    }

    fn reference(table: &str, column: &str, theirs: &str) -> DeclaredReference {
        DeclaredReference {
            table: name(table),
            columns: vec![ident(column)],
            references: name("merchants"),
            referenced_columns: vec![ident(theirs)],
        }
    }

    fn rule() -> Rule {
        Rule {
            name: "code".to_owned(),
            table: name("orders"),
            when: None,
            tenant: Some("1".parse().unwrap()),
            column: None,
            tenants: BTreeMap::new(),
            csv: None,
            csv_sha256: None,
            keys: None,
        }
    }

    #[test]
    fn what_fits_is_taken() {
        let mut config = existing("merchants");
        config.declared.references = vec![reference("orders", "shop_code", "code")];
        config.declared.rules = vec![rule()];
        assert_eq!(check(&shop(), &config), Ok(()));
    }

    #[test]
    fn references_that_cannot_be_meant() {
        let told = |reference| refused(|config| config.declared.references = vec![reference]);
        insta::assert_snapshot!(told(reference("order", "shop_code", "code")), @"[[reference]] of public.order: there is no table public.order; did you mean public.orders?");
        insta::assert_snapshot!(told(reference("orders", "shop", "code")), @"[[reference]] of public.orders: public.orders has no column shop; it has id, shop_code");
        let mut uneven = reference("orders", "shop_code", "code");
        uneven.columns.push(ident("id"));
        insta::assert_snapshot!(told(uneven), @"[[reference]] of public.orders: columns has 2 names and referenced_columns has 1; each takes the same number, at least one");
        let not_unique =
            DeclaredReference { references: name("orders"), ..reference("orders", "shop_code", "shop_code") };
        insta::assert_snapshot!(told(not_unique), @"[[reference]] of public.orders: (shop_code) of public.orders is no unique key, so it does not name one row");
        let twice = vec![reference("orders", "shop_code", "code"); 2];
        insta::assert_snapshot!(refused(|config| config.declared.references = twice), @"[[reference]] of public.orders: it stands there twice");
    }

    #[test]
    fn rules_that_cannot_be_meant() {
        let told = |rule| refused(|config| config.declared.rules = vec![rule]);
        insta::assert_snapshot!(told(Rule { table: name("merchants"), ..rule() }), @"[[rule]] code: public.merchants is the tenant root; its rows are the tenants");
        insta::assert_snapshot!(told(Rule { tenant: None, ..rule() }), @"[[rule]] code: it says nothing; give it tenant, or column and tenants, or csv");
        insta::assert_snapshot!(told(Rule { column: Some(ident("shop_code")), ..rule() }), @"[[rule]] code: it has `tenant` and `column` with `tenants`; it takes one of them");
        insta::assert_snapshot!(told(Rule { tenant: None, column: Some(ident("shop_code")), ..rule() }), @r#"[[rule]] code: column wants tenants = { value = "tenant" }"#);
        let tenants = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
        insta::assert_snapshot!(told(Rule { tenant: None, tenants: tenants.clone(), ..rule() }), @"[[rule]] code: tenants wants the column whose values they are");
        insta::assert_snapshot!(told(Rule { tenant: None, tenants, column: Some(ident("shop")), ..rule() }), @"[[rule]] code: public.orders has no column shop; it has id, shop_code");
        let keys = Some(GivenKeys { columns: vec![ident("shop_code")], rows: Vec::new() });
        insta::assert_snapshot!(told(Rule { tenant: None, csv: Some("a.csv".to_owned()), keys, ..rule() }), @"[[rule]] code: the columns of its csv file (shop_code) are no key of public.orders");
        insta::assert_snapshot!(refused(|config| config.declared.rules = vec![rule(), rule()]), @"[[rule]] code: another rule (of public.orders) has the same name");
        insta::assert_snapshot!(refused(|config| {
            config.declared.rules = vec![rule()];
            config.exclude_tables.insert(name("orders"));
        }), @"[[rule]] code: public.orders is excluded with --exclude-table public.orders");
        insta::assert_snapshot!(refused(|config| {
            config.declared.rules = vec![rule()];
            config.root = RootChoice::New(name("companies"));
        }), @"[[rule]]: with --new-tenant-root public.companies every row there is belongs to one tenant");
    }
}
