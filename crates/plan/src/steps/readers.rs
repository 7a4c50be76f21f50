//! What `bastide_owner` may read of the user's tables, and on whose account.
//!
//! Several steps need the same SELECT. `bastide.reader` remembers which, so that undoing one of them takes a privilege
//! back only when no other step still rests on it: a keeper trigger that lost it would make legacy writes fail.

use std::collections::BTreeSet;

use bastide_catalog::{Acl, Catalog};
use bastide_sql::{Ident, Literal, QualifiedName, Sql, sql};

use super::{acl, context};

/// Statements that let `bastide_owner` read `relations` on account of `step`.
pub(super) fn grant(step: &str, relations: &[QualifiedName]) -> Vec<Sql> {
    let mut statements = Vec::new();
    for relation in relations {
        let (account, schema) = (Literal::text(step), Literal::text(relation.schema.as_str()));
        statements.push(sql!(
            "INSERT INTO bastide.reader (step, schema, relation) VALUES ({}, {}, {}) ON CONFLICT DO NOTHING",
            account,
            schema,
            name(relation)
        ));
        statements.push(sql!("GRANT USAGE ON SCHEMA {} TO {}", relation.schema, context::bastide_owner()));
        // An owner needs no grant, and one written down would leave a trace in the list.
        statements.push(context::block(sql!(
            "BEGIN IF {} THEN GRANT SELECT ON TABLE {} TO {}; END IF; END",
            foreign(relation),
            relation,
            context::bastide_owner()
        )));
    }
    statements
}

/// Takes back what [`grant`] gave, except what another step still needs.
pub(super) fn release(step: &str, relations: &[QualifiedName]) -> Vec<Sql> {
    let mut statements = vec![sql!("DELETE FROM bastide.reader WHERE step = {}", Literal::text(step))];
    for relation in relations {
        let owner = context::bastide_owner();
        statements.push(context::block(sql!(
            "BEGIN
    IF {} AND NOT EXISTS (SELECT FROM bastide.reader WHERE relation = {}) THEN
        REVOKE SELECT ON TABLE {} FROM {};
    END IF;
    IF NOT EXISTS (SELECT FROM bastide.reader WHERE schema = {}) THEN
        REVOKE USAGE ON SCHEMA {} FROM {};
    END IF;
END",
            foreign(relation),
            name(relation),
            relation,
            owner,
            Literal::text(relation.schema.as_str()),
            relation.schema,
            owner
        )));
    }
    statements
}

/// The grant on a relation that has come back from `bastide_owner`, where some step still rests on it.
pub(super) fn restore(relation: &QualifiedName) -> Sql {
    context::block(sql!(
        "BEGIN IF EXISTS (SELECT FROM bastide.reader WHERE relation = {}) THEN GRANT SELECT ON TABLE {} TO {}; END IF; END",
        name(relation),
        relation,
        context::bastide_owner()
    ))
}

/// Whether somebody else owns the relation.
pub(super) fn foreign(relation: &QualifiedName) -> Sql {
    sql!(
        "(SELECT relowner <> 'bastide_owner'::regrole FROM pg_class WHERE oid = {}::regclass)",
        name(relation)
    )
}

pub(super) fn name(relation: &QualifiedName) -> Literal {
    Literal::text(sql!("{}", relation).as_str())
}

/// Projects [`grant`].
pub(super) fn apply(catalog: &mut Catalog, relations: &[QualifiedName]) {
    let (reader, version) = (context::bastide_owner(), catalog.server.version);
    for relation in relations {
        if let Some(schema) = catalog.schemas.get_mut(&relation.schema) {
            let owner = schema.owner.clone();
            let acl = schema.acl.get_or_insert_with(|| acl::schema_defaults(&owner));
            acl::granted(acl, &owner, &reader, &["USAGE"]);
        }
        if let Some((owner, list)) = list_of(catalog, relation).filter(|(owner, _)| *owner != reader) {
            let acl = list.get_or_insert_with(|| acl::table_defaults(&owner, version));
            acl::granted(acl, &owner, &reader, &["SELECT"]);
        }
    }
}

/// Projects [`release`], where other keepers still read `kept`; materialised views say for themselves what they read.
pub(super) fn unapply(catalog: &mut Catalog, relations: &[QualifiedName], kept: &BTreeSet<QualifiedName>) {
    let (reader, version) = (context::bastide_owner(), catalog.server.version);
    let views = catalog.views.values().filter(|view| view.materialised && view.owner == reader);
    let mut needed = kept.clone();
    let mut open: Vec<&QualifiedName> = views.flat_map(|view| &view.reads).collect();
    while let Some(read) = open.pop() {
        // Through other views as well.
        if needed.insert(read.clone()) {
            open.extend(catalog.views.get(read).into_iter().flat_map(|view| &view.reads));
        }
    }
    for relation in relations {
        if !needed.contains(relation)
            && let Some((owner, list)) = list_of(catalog, relation).filter(|(owner, _)| *owner != reader)
            && let Some(acl) = list
        {
            acl::revoked(acl, &owner, &reader, "SELECT");
            acl::forget_defaults(list, &acl::table_defaults(&owner, version));
        }
        if needed.iter().all(|other| other.schema != relation.schema)
            && let Some(schema) = catalog.schemas.get_mut(&relation.schema)
            && let Some(acl) = &mut schema.acl
        {
            acl::revoked(acl, &schema.owner, &reader, "USAGE");
            acl::forget_defaults(&mut schema.acl, &acl::schema_defaults(&schema.owner));
        }
    }
}

fn list_of<'a>(catalog: &'a mut Catalog, relation: &QualifiedName) -> Option<(Ident, &'a mut Option<Acl>)> {
    if let Some(table) = catalog.tables.get_mut(relation) {
        Some((table.owner.clone(), &mut table.acl))
    } else {
        catalog.views.get_mut(relation).map(|view| (view.owner.clone(), &mut view.acl))
    }
}
