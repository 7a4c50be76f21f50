//! Tables, keys and views of every shape that has a rule of its own.

use bastide_catalog::{Key, KeyKind};
use bastide_sql::Sql;

use super::{about, awkward, planned};
use crate::fixture::{existing, grant, ident, name, shop};

#[test]
fn partitions_children_and_tables_without_a_key() {
    let plan = planned(awkward(), &existing("merchants"));
    insta::assert_snapshot!(about(&plan, "events"), @"
    add_tenant_column:public.events.tenant_id
    keep_legacy_writes:public.events
    backfill:public.events_2024.tenant_id:1
    backfill:public.events_2025.tenant_id:1
    backfill:public.events_2024.tenant_id:2
    backfill:public.events_2025.tenant_id:2
    add_not_null_check:public.events.events_has_tenant
    validate_constraint:public.events_2025.events_has_tenant
    validate_constraint:public.events_2024.events_has_tenant
    validate_constraint:public.events.events_has_tenant
    set_not_null:public.events.tenant_id
    drop_check:public.events.events_has_tenant
    set_tenant_default:public.events.tenant_id
    set_tenant_default:public.events_2024.tenant_id
    set_tenant_default:public.events_2025.tenant_id
    protect_table:public.events
    protect_table:public.events_2024
    protect_table:public.events_2025
    grant_app:public.events
    add_tenant_index:public.events.events_tenant_idx
    analyze_table:public.events
    backfill:public.events_2024.tenant_id:3
    backfill:public.events_2025.tenant_id:3
    add_tenant_foreign_key:public.events.events_order_id_fkey_tenant
    add_tenant_foreign_key:public.events.events_tenant_fkey
    drop_legacy_key:public.events.events_order_id_fkey
    close_table:public.events
    close_table:public.events_2024
    close_table:public.events_2025
    protect_partitions:public.events
    release_legacy_writes:public.events
    ");
    insta::assert_snapshot!(about(&plan, "notes"), @r"
    add_tenant_column:public.notes.tenant_id
    keep_legacy_writes:public.notes
    keep_legacy_writes:public.order_notes
    backfill:public.order_notes.tenant_id:1
    backfill:public.notes.tenant_id:1
    backfill:public.order_notes.tenant_id:2
    backfill:public.notes.tenant_id:2
    add_not_null_check:public.notes.notes_has_tenant
    validate_constraint:public.order_notes.notes_has_tenant
    validate_constraint:public.notes.notes_has_tenant
    set_not_null:public.notes.tenant_id
    drop_check:public.notes.notes_has_tenant
    set_tenant_default:public.notes.tenant_id
    set_tenant_default:public.order_notes.tenant_id
    protect_table:public.notes
    protect_table:public.order_notes
    grant_app:public.notes
    add_tenant_index:public.notes.notes_tenant_idx
    add_tenant_index:public.order_notes.order_notes_tenant_idx
    analyze_table:public.notes
    analyze_table:public.order_notes
    backfill:public.order_notes.tenant_id:3
    backfill:public.notes.tenant_id:3
    add_tenant_foreign_key:public.notes.notes_order_id_fkey_tenant
    validate_constraint:public.notes.notes_order_id_fkey_tenant
    add_tenant_foreign_key:public.notes.notes_tenant_fkey
    validate_constraint:public.notes.notes_tenant_fkey
    add_tenant_foreign_key:public.order_notes.order_notes_tenant_fkey
    validate_constraint:public.order_notes.order_notes_tenant_fkey
    drop_legacy_key:public.notes.notes_order_id_fkey
    close_table:public.notes
    close_table:public.order_notes
    release_legacy_writes:public.notes
    release_legacy_writes:public.order_notes
    ");
    insta::assert_snapshot!(about(&plan, "public.log"), @r"
    add_tenant_column:public.log.tenant_id
    keep_legacy_writes:public.log
    backfill:public.log.tenant_id:1
    backfill:public.log.tenant_id:2
    add_not_null_check:public.log.log_has_tenant
    validate_constraint:public.log.log_has_tenant
    set_not_null:public.log.tenant_id
    drop_check:public.log.log_has_tenant
    set_tenant_default:public.log.tenant_id
    protect_table:public.log
    grant_app:public.log
    add_tenant_index:public.log.log_tenant_idx
    analyze_table:public.log
    backfill:public.log.tenant_id:3
    add_tenant_foreign_key:public.log.log_order_id_fkey_tenant
    validate_constraint:public.log.log_order_id_fkey_tenant
    add_tenant_foreign_key:public.log.log_tenant_fkey
    validate_constraint:public.log.log_tenant_fkey
    drop_legacy_key:public.log.log_order_id_fkey
    close_table:public.log
    release_legacy_writes:public.log
    ");
    insta::assert_snapshot!(about(&plan, "Categories"), @r#"
    keep_legacy_writes:public."Categories"
    set_tenant_default:public."Categories".merchant_id
    add_tenant_key:public."Categories"."Categories_id_tenant_key"
    protect_table:public."Categories"
    grant_app:public."Categories"
    analyze_table:public."Categories"
    backfill:public."Categories".merchant_id:3
    add_tenant_foreign_key:public."Categories"."Categories_parent_fkey_tenant"
    validate_constraint:public."Categories"."Categories_parent_fkey_tenant"
    drop_legacy_key:public."Categories"."Categories_parent_fkey"
    close_table:public."Categories"
    release_legacy_writes:public."Categories"
    "#);
    insta::assert_snapshot!(about(&plan, "refunds"), @r"
    add_tenant_column:public.refunds.tenant_id
    keep_legacy_writes:public.refunds
    backfill:public.refunds.tenant_id:1
    backfill:public.refunds.tenant_id:2
    add_not_null_check:public.refunds.refunds_has_tenant
    validate_constraint:public.refunds.refunds_has_tenant
    set_not_null:public.refunds.tenant_id
    drop_check:public.refunds.refunds_has_tenant
    set_tenant_default:public.refunds.tenant_id
    protect_table:public.refunds
    grant_app:public.refunds
    add_tenant_index:public.refunds.refunds_tenant_idx
    analyze_table:public.refunds
    backfill:public.refunds.tenant_id:3
    add_tenant_foreign_key:public.refunds.refunds_item_fkey_tenant
    validate_constraint:public.refunds.refunds_item_fkey_tenant
    add_tenant_foreign_key:public.refunds.refunds_tenant_fkey
    validate_constraint:public.refunds.refunds_tenant_fkey
    drop_legacy_key:public.refunds.refunds_item_fkey
    close_table:public.refunds
    release_legacy_writes:public.refunds
    ");
}

#[test]
fn views_are_secured_only_where_nobody_loses_them() {
    let plan = planned(awkward(), &existing("merchants"));
    insta::assert_snapshot!(about(&plan, "order_"), @r"
    keep_legacy_writes:public.order_notes
    backfill:public.order_notes.tenant_id:1
    backfill:public.order_notes.tenant_id:2
    validate_constraint:public.order_notes.notes_has_tenant
    set_tenant_default:public.order_notes.tenant_id
    add_tenant_key:public.items.items_order_id_line_tenant_key
    protect_table:public.order_notes
    secure_view:public.order_list
    secure_view:public.order_totals
    grant_app:public.order_list
    grant_app:public.order_totals
    add_tenant_index:public.order_notes.order_notes_tenant_idx
    analyze_table:public.order_notes
    backfill:public.order_notes.tenant_id:3
    add_tenant_foreign_key:public.events.events_order_id_fkey_tenant
    add_tenant_foreign_key:public.items.items_order_id_fkey_tenant
    validate_constraint:public.items.items_order_id_fkey_tenant
    add_tenant_foreign_key:public.log.log_order_id_fkey_tenant
    validate_constraint:public.log.log_order_id_fkey_tenant
    add_tenant_foreign_key:public.notes.notes_order_id_fkey_tenant
    validate_constraint:public.notes.notes_order_id_fkey_tenant
    add_tenant_foreign_key:public.order_notes.order_notes_tenant_fkey
    validate_constraint:public.order_notes.order_notes_tenant_fkey
    drop_legacy_key:public.events.events_order_id_fkey
    drop_legacy_key:public.items.items_order_id_fkey
    drop_legacy_key:public.log.log_order_id_fkey
    drop_legacy_key:public.notes.notes_order_id_fkey
    close_table:public.order_notes
    release_legacy_writes:public.order_notes
    ");
    insta::assert_snapshot!(about(&plan, "copies"), @"own_materialised_view:public.copies");
    insta::assert_snapshot!(plan.notes.join("\n"), @"
    public.events has no index on (order_id): when a legacy statement moves a row of public.orders to another tenant, the rows below it do not follow at once, and cutover settles them as links that cross
    public.copies is not granted to the application: a materialised view keeps copies of rows, which no policy filters
    ");
    let lent = awkward().change(|catalog| {
        let view = catalog.views.get_mut(&name("order_list")).unwrap();
        view.acl = Some(vec![grant(Some("clerk"), &["SELECT"])]);
    });
    let plan = planned(lent, &existing("merchants"));
    insta::assert_snapshot!(about(&plan, "secure_view"), @"");
    insta::assert_snapshot!(plan.notes.join("\n"), @"
    public.events has no index on (order_id): when a legacy statement moves a row of public.orders to another tenant, the rows below it do not follow at once, and cutover settles them as links that cross
    public.copies is not granted to the application: a materialised view keeps copies of rows, which no policy filters
    public.order_list is not granted to the application: clerk has SELECT on it but not on public.orders, and would lose it with security_invoker
    public.order_totals is not granted to the application: it reads public.order_list, which is not granted either
    ");
}

#[test]
fn legacy_logins_are_named_in_the_policy() {
    let roles = |acl: Vec<bastide_catalog::AclItem>| {
        let fixture = shop().with(|table| table.acl = Some(acl));
        let plan = planned(fixture, &existing("merchants"));
        plan.steps.into_iter().find_map(|step| match step.step {
            crate::Step::ProtectTable(step) if step.table == name("orders") => Some(step.legacy_roles),
            _ => None,
        })
    };
    assert_eq!(roles(vec![]), Some(vec![]));
    assert_eq!(roles(vec![grant(Some("clerk"), &["SELECT"])]), Some(vec![ident("clerk")]));
    assert_eq!(roles(vec![grant(Some("postgres"), &["SELECT"])]), Some(vec![]));
    assert_eq!(roles(vec![grant(None, &["SELECT"])]), Some(vec![ident("clerk")]));
}

#[test]
fn uniques_that_cannot_be_replaced_stay_and_are_told() {
    let key = |text: &str, deferrable| Key {
        name: ident(&format!("{text}_key")),
        kind: KeyKind::Unique,
        columns: vec![ident(text)],
        deferrable,
        definition: Sql::trusted(format!("UNIQUE ({text})")),
    };
    let fixture = shop()
        .table("codes", &["id bigint pk", "order_id bigint -> orders", "a text", "b text", "c text"])
        .with(|table| table.keys.extend([key("a", true), key("b", false), key("c", false)]))
        .table("audit", &["code text -> codes.b"]);
    let mut config = existing("merchants");
    config.exclude_tables.insert(name("audit"));
    let plan = planned(fixture, &config);
    insta::assert_snapshot!(about(&plan, "_key"), @"
    add_tenant_key:public.orders.orders_id_tenant_key
    add_tenant_key:public.customers.customers_id_tenant_key
    add_tenant_key:public.codes.c_key_tenant_key
    add_tenant_key:public.customers.customers_email_key_tenant_key
    add_tenant_foreign_key:public.codes.codes_order_id_fkey_tenant
    add_tenant_foreign_key:public.orders.orders_customer_id_fkey_tenant
    add_tenant_foreign_key:public.codes.codes_tenant_fkey
    add_tenant_foreign_key:public.orders.orders_tenant_fkey
    drop_legacy_key:public.codes.codes_order_id_fkey
    drop_legacy_key:public.orders.orders_customer_id_fkey
    drop_legacy_key:public.codes.c_key
    drop_legacy_key:public.customers.customers_email_key
    ");
    insta::assert_snapshot!(plan.notes.join("\n"), @"
    public.audit, which is closed, references the scoped public.codes by audit_code_fkey; the key stays as it is
    the unique key a_key of public.codes stays global: it is deferrable, which an index cannot be
    the unique key b_key of public.codes stays global: a foreign key that stays as it is points at it
    ");
}

#[test]
fn foreign_keys_that_name_a_tenant_stay() {
    let fixture =
        shop().table("transfers", &["id int pk", "giver uuid -> merchants", "taker uuid -> merchants"]);
    let plan = planned(fixture, &existing("merchants"));
    insta::assert_snapshot!(about(&plan, "transfers"), @r"
    add_tenant_column:public.transfers.tenant_id
    keep_legacy_writes:public.transfers
    backfill:public.transfers.tenant_id:1
    backfill:public.transfers.tenant_id:2
    add_not_null_check:public.transfers.transfers_has_tenant
    validate_constraint:public.transfers.transfers_has_tenant
    set_not_null:public.transfers.tenant_id
    drop_check:public.transfers.transfers_has_tenant
    set_tenant_default:public.transfers.tenant_id
    protect_table:public.transfers
    grant_app:public.transfers
    add_tenant_index:public.transfers.transfers_tenant_idx
    analyze_table:public.transfers
    backfill:public.transfers.tenant_id:3
    add_tenant_foreign_key:public.transfers.transfers_tenant_fkey
    validate_constraint:public.transfers.transfers_tenant_fkey
    close_table:public.transfers
    release_legacy_writes:public.transfers
    ");
    insta::assert_snapshot!(plan.notes.join("\n"), @"
    transfers_giver_fkey of public.transfers references a tenant by a column that is not the table's tenant column; it stays as it is, so such a row may name another tenant
    transfers_taker_fkey of public.transfers references a tenant by a column that is not the table's tenant column; it stays as it is, so such a row may name another tenant
    ");
}
