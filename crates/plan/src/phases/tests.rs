//! Which steps a schema gives, by their ids, and in which order.

use bastide_catalog::{Action, Catalog, Key, KeyKind, Trigger, TriggerEnabled, View};
use bastide_sql::Sql;
use proptest::prelude::*;

use crate::{
    Config, LinkSurvey, Phase, Plan, Refusal, Survey, TableSurvey, Usage,
    fixture::{Fixture, existing, foreign_key, grant, ident, name, new, shop},
    plan,
};

fn survey() -> Survey {
    let usage = Usage { rows: 1000, by_one: 10, by_many: 900 };
    Survey { tenants: 3, usage: [(name("products"), usage)].into(), ..Survey::default() }
}

fn planned(fixture: Fixture, config: &Config) -> Plan {
    let catalog = fixture.catalog();
    let plan = plan(&catalog, &survey(), config).unwrap();
    let ids: std::collections::BTreeSet<_> = plan.steps.iter().map(|step| &step.id).collect();
    assert_eq!(ids.len(), plan.steps.len(), "no two steps have one id");
    assert!(plan.steps.is_sorted_by_key(|step| step.phase), "phases come in order");
    plan
}

fn refused(fixture: Fixture) -> String {
    plan(&fixture.catalog(), &survey(), &existing("merchants")).unwrap_err().to_string()
}

fn steps(plan: &Plan, phase: Phase) -> String {
    plan.steps_of(phase).map(|step| step.id.to_string()).collect::<Vec<_>>().join("\n")
}

fn about(plan: &Plan, word: &str) -> String {
    let ids = plan.steps.iter().map(|step| step.id.to_string());
    ids.filter(|id| id.contains(word)).collect::<Vec<_>>().join("\n")
}

fn after(catalog: &Catalog, plan: &Plan) -> Catalog {
    let mut projected = catalog.clone();
    for step in &plan.steps {
        step.step.apply(&mut projected);
    }
    projected
}

#[test]
fn an_existing_root() {
    let plan = planned(shop(), &existing("merchants"));
    insta::assert_snapshot!(steps(&plan, Phase::Assignment), @"
    create_context:bastide
    add_tenant:quarantine
    add_tenant_column:public.orders.tenant_id
    keep_legacy_writes:public.customers
    keep_legacy_writes:public.orders
    infer_tenants:1
    backfill:public.customers.merchant_id:1
    backfill:public.orders.tenant_id:1
    infer_tenants:2
    backfill:public.customers.merchant_id:2
    backfill:public.orders.tenant_id:2
    add_not_null_check:public.customers.customers_has_tenant
    validate_constraint:public.customers.customers_has_tenant
    set_not_null:public.customers.merchant_id
    drop_check:public.customers.customers_has_tenant
    add_not_null_check:public.orders.orders_has_tenant
    validate_constraint:public.orders.orders_has_tenant
    set_not_null:public.orders.tenant_id
    drop_check:public.orders.orders_has_tenant
    set_tenant_default:public.customers.merchant_id
    set_tenant_default:public.orders.tenant_id
    ");
    insta::assert_snapshot!(steps(&plan, Phase::Policies), @"
    create_app_role:bastide_app
    add_tenant_key:public.customers.customers_id_tenant_key
    add_tenant_key:public.customers.customers_email_key_tenant_key
    protect_table:public.customers
    protect_table:public.merchants
    protect_table:public.orders
    grant_app:schema public
    grant_app:public.customers
    grant_app:public.merchants
    grant_app:public.orders
    grant_app:public.products
    ");
    insta::assert_snapshot!(steps(&plan, Phase::Optimisation), @"
    add_tenant_index:public.orders.orders_tenant_idx
    analyze_table:public.customers
    analyze_table:public.orders
    ");
    insta::assert_snapshot!(steps(&plan, Phase::Cutover), @"
    add_tenant_foreign_key:public.orders.orders_customer_id_fkey_tenant
    validate_constraint:public.orders.orders_customer_id_fkey_tenant
    add_tenant_foreign_key:public.orders.orders_tenant_fkey
    validate_constraint:public.orders.orders_tenant_fkey
    drop_legacy_key:public.orders.orders_customer_id_fkey
    drop_legacy_key:public.customers.customers_email_key
    close_table:public.customers
    close_table:public.merchants
    close_table:public.orders
    release_legacy_writes:public.customers
    release_legacy_writes:public.orders
    ");
}

#[test]
fn a_new_root_needs_neither_inference_nor_keepers() {
    let plan = planned(shop(), &new("companies"));
    assert_eq!(plan.quarantine, None);
    insta::assert_snapshot!(steps(&plan, Phase::Assignment), @"
    create_context:bastide
    create_tenant_root:public.companies
    add_tenant:17b0456c-c4b8-8aa2-bb44-a6b9b3b3b65e
    add_tenant_column:public.customers.tenant_id
    add_tenant_column:public.merchants.tenant_id
    add_tenant_column:public.orders.tenant_id
    add_tenant_column:public.products.tenant_id
    set_tenant_default:public.customers.tenant_id (with fallback)
    set_tenant_default:public.merchants.tenant_id (with fallback)
    set_tenant_default:public.orders.tenant_id (with fallback)
    set_tenant_default:public.products.tenant_id (with fallback)
    ");
    insta::assert_snapshot!(steps(&plan, Phase::Cutover), @"
    add_tenant_foreign_key:public.customers.customers_merchant_id_fkey_tenant
    validate_constraint:public.customers.customers_merchant_id_fkey_tenant
    add_tenant_foreign_key:public.orders.orders_customer_id_fkey_tenant
    validate_constraint:public.orders.orders_customer_id_fkey_tenant
    add_tenant_foreign_key:public.orders.orders_product_id_fkey_tenant
    validate_constraint:public.orders.orders_product_id_fkey_tenant
    add_tenant_foreign_key:public.customers.customers_tenant_fkey
    validate_constraint:public.customers.customers_tenant_fkey
    add_tenant_foreign_key:public.merchants.merchants_tenant_fkey
    validate_constraint:public.merchants.merchants_tenant_fkey
    add_tenant_foreign_key:public.orders.orders_tenant_fkey
    validate_constraint:public.orders.orders_tenant_fkey
    add_tenant_foreign_key:public.products.products_tenant_fkey
    validate_constraint:public.products.products_tenant_fkey
    drop_legacy_key:public.customers.customers_merchant_id_fkey
    drop_legacy_key:public.orders.orders_customer_id_fkey
    drop_legacy_key:public.orders.orders_product_id_fkey
    drop_legacy_key:public.customers.customers_email_key
    drop_legacy_key:public.merchants.merchants_slug_key
    set_tenant_default:public.customers.tenant_id
    set_tenant_default:public.merchants.tenant_id
    set_tenant_default:public.orders.tenant_id
    set_tenant_default:public.products.tenant_id
    close_table:public.companies
    close_table:public.customers
    close_table:public.merchants
    close_table:public.orders
    close_table:public.products
    ");
}

#[test]
fn a_finished_database_has_nothing_left_to_do() {
    for config in [existing("merchants"), new("companies")] {
        let catalog = awkward().catalog();
        let first = plan(&catalog, &survey(), &config).unwrap();
        let again = plan(&after(&catalog, &first), &survey(), &config).unwrap();
        assert_eq!(
            again.steps.iter().map(|step| step.id.to_string()).collect::<Vec<_>>(),
            Vec::<String>::new()
        );
    }
}

/// Everything at once that has a rule of its own.
fn awkward() -> Fixture {
    shop()
        .table(
            "Categories",
            &["id int pk", "parent int -> \"Categories\"", "merchant_id uuid not-null -> merchants"],
        )
        .table("items", &["order_id bigint pk -> orders", "line int pk", "sku text"])
        .table("refunds", &["id bigint pk", "order_id bigint", "line int"])
        .with(|table| {
            let mut key =
                foreign_key("refunds_item_fkey", &["order_id", "line"], "items", &["order_id", "line"]);
            key.on_delete = Action::SetNull;
            table.foreign_keys.push(key);
        })
        .table("events", &["id bigint pk", "at date pk", "order_id bigint -> orders"])
        .with(|table| table.kind = bastide_catalog::TableKind::Partitioned)
        .child("events_2024", "events")
        .child("events_2025", "events")
        .table("notes", &["id bigint pk", "order_id bigint -> orders"])
        .child("order_notes", "notes")
        .table("log", &["order_id bigint -> orders", "text text"])
        .view("order_list", &["orders", "customers", "products"])
        .view("order_totals", &["order_list"])
        .change(|catalog| {
            let copy = View { materialised: true, ..catalog.views[&name("order_list")].clone() };
            catalog.views.insert(name("copies"), View { name: name("copies"), ..copy });
        })
}

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
    add_tenant_foreign_key:public.events.events_order_id_fkey_tenant
    add_tenant_foreign_key:public.events.events_tenant_fkey
    drop_legacy_key:public.events.events_order_id_fkey
    close_table:public.events
    close_table:public.events_2024
    close_table:public.events_2025
    release_legacy_writes:public.events
    ");
    insta::assert_snapshot!(about(&plan, "notes"), @"
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
    insta::assert_snapshot!(about(&plan, "public.log"), @"
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
    add_tenant_foreign_key:public."Categories"."Categories_parent_fkey_tenant"
    validate_constraint:public."Categories"."Categories_parent_fkey_tenant"
    drop_legacy_key:public."Categories"."Categories_parent_fkey"
    close_table:public."Categories"
    release_legacy_writes:public."Categories"
    "#);
    insta::assert_snapshot!(about(&plan, "refunds"), @"
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
    insta::assert_snapshot!(about(&plan, "order_"), @"
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
    insta::assert_snapshot!(plan.notes.join("\n"), @"public.copies is not granted to the application: a materialised view keeps copies of rows, which no policy filters");
    let lent = awkward().change(|catalog| {
        let view = catalog.views.get_mut(&name("order_list")).unwrap();
        view.acl = Some(vec![grant(Some("clerk"), &["SELECT"])]);
    });
    let plan = planned(lent, &existing("merchants"));
    insta::assert_snapshot!(about(&plan, "secure_view"), @"");
    insta::assert_snapshot!(plan.notes.join("\n"), @"
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
    insta::assert_snapshot!(about(&plan, "transfers"), @"
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

#[test]
fn without_a_quarantine_not_null_waits_for_cutover() {
    let survey = Survey { quarantine_refused: Some("violates check \"real\"".to_owned()), ..survey() };
    let plan = plan(&shop().catalog(), &survey, &existing("merchants")).unwrap();
    assert_eq!(plan.quarantine, None);
    insta::assert_snapshot!(plan.notes.join("\n"), @r#"public.merchants cannot take a quarantine tenant (violates check "real"); rows without a tenant are held aside at cutover"#);
    insta::assert_snapshot!(steps(&plan, Phase::Cutover), @"
    hold_aside:without_tenant
    add_not_null_check:public.customers.customers_has_tenant
    validate_constraint:public.customers.customers_has_tenant
    set_not_null:public.customers.merchant_id
    drop_check:public.customers.customers_has_tenant
    add_not_null_check:public.orders.orders_has_tenant
    validate_constraint:public.orders.orders_has_tenant
    set_not_null:public.orders.tenant_id
    drop_check:public.orders.orders_has_tenant
    add_tenant_foreign_key:public.orders.orders_customer_id_fkey_tenant
    validate_constraint:public.orders.orders_customer_id_fkey_tenant
    add_tenant_foreign_key:public.orders.orders_tenant_fkey
    validate_constraint:public.orders.orders_tenant_fkey
    drop_legacy_key:public.orders.orders_customer_id_fkey
    drop_legacy_key:public.customers.customers_email_key
    close_table:public.customers
    close_table:public.merchants
    close_table:public.orders
    release_legacy_writes:public.customers
    release_legacy_writes:public.orders
    ");
}

fn crossing(crossing: u64) -> Survey {
    let link = LinkSurvey {
        table: name("orders"),
        foreign_key: ident("orders_customer_id_fkey"),
        references: name("customers"),
        rows: 16_044,
        crossing,
        samples: vec!["17".to_owned()],
    };
    let orders = TableSurvey { rows: 16_044, ..TableSurvey::default() };
    Survey { links: vec![link], tables: [(name("orders"), orders)].into(), ..survey() }
}

#[test]
fn a_root_that_is_no_boundary_is_refused_whatever_the_defaults() {
    let config = Config { accept_defaults: true, ..existing("merchants") };
    let error = plan(&shop().catalog(), &crossing(12_035), &config).unwrap_err();
    insta::assert_snapshot!(error.to_string(), @"
    public.merchants is not a tenant boundary: these references join different tenants:
      12,035 of 16,044 rows of public.orders cross by orders_customer_id_fkey to public.customers
    name another table with --tenant-root schema.table, or make one with --new-tenant-root name
    ");
    assert!(plan(&shop().catalog(), &crossing(160), &config).is_ok());
}

#[test]
fn a_few_crossing_links_are_a_question() {
    let catalog = shop().catalog();
    let open = plan(&catalog, &crossing(12), &existing("merchants")).unwrap();
    insta::assert_snapshot!(open.open().map(|question| format!("{}: {}", question.id, question.text)).collect::<String>(), @"links:public.orders: Rows of public.orders reference rows of another tenant: 12 by orders_customer_id_fkey to public.customers. `hold_aside`: at cutover they move to bastide.held, with what references them, and can be put back. Otherwise choose another tenant root.");
    let config = Config { accept_defaults: true, ..existing("merchants") };
    let plan = plan(&catalog, &crossing(12), &config).unwrap();
    assert_eq!(plan.open().count(), 0);
    assert_eq!(about(&plan, "hold_aside"), "hold_aside:crossing");
}

#[test]
fn what_stands_in_the_way_is_named() {
    let fixture = shop().with(|table| table.row_security = true);
    insta::assert_snapshot!(refused(fixture), @"public.orders has row security of its own (it is enabled, without a policy); Bastide does not mix its policies with others: drop them, or leave the table out with --exclude-table public.orders");

    let fixture = shop().with(|table| table.acl = Some(vec![grant(None, &["SELECT", "TRUNCATE"])]));
    insta::assert_snapshot!(refused(fixture), @"public.orders: row security does not filter all that can be done to it, but PUBLIC has TRUNCATE on it, and so would the application; run REVOKE TRUNCATE ON public.orders FROM PUBLIC and grant to the roles that need it by name");

    let fixture = shop().view("all_of_it", &["orders", "pg_class"]).change(|catalog| {
        catalog.views.get_mut(&name("all_of_it")).unwrap().acl = Some(vec![grant(None, &["SELECT"])]);
    });
    insta::assert_snapshot!(refused(fixture), @"public.all_of_it: it reads public.pg_class, which no policy covers, but PUBLIC has SELECT on it, and so would the application; run REVOKE SELECT ON public.all_of_it FROM PUBLIC and grant to the roles that need it by name");

    let trigger = Trigger {
        name: ident("replicate"),
        function: name("replicate"),
        on_insert: true,
        on_update: true,
        on_delete: false,
        on_truncate: false,
        before: false,
        for_each_row: true,
        enabled: TriggerEnabled::Always,
        definition: Sql::trusted("CREATE TRIGGER"),
    };
    let fixture = shop().with(|table| table.triggers.push(trigger));
    insta::assert_snapshot!(refused(fixture), @"the trigger replicate of public.orders is ENABLE ALWAYS, so it would fire for Bastide's own writes; run ALTER TABLE public.orders ENABLE TRIGGER replicate first");

    let fixture = shop().with(|table| table.foreign_keys[0].on_update = Action::SetNull);
    insta::assert_snapshot!(refused(fixture), @"the foreign key orders_customer_id_fkey of public.orders cannot be kept inside a tenant: with ON UPDATE SET NULL its successor would empty the tenant column too; recreate it with ON UPDATE NO ACTION or CASCADE");

    let fixture = shop().change(|catalog| {
        let clerk = catalog.roles[&ident("clerk")].clone();
        catalog
            .roles
            .insert(ident("bastide_app"), bastide_catalog::Role { member_of: vec![ident("clerk")], ..clerk });
    });
    insta::assert_snapshot!(refused(fixture), @"the application's login bastide_app is a member of clerk, whose rights it can take; give it none of that, or choose another with --app-role");

    let alone = Fixture::new().table("merchants", &["id uuid pk"]);
    let error = plan(&alone.catalog(), &Survey::default(), &existing("merchants")).unwrap_err();
    assert!(matches!(error, Refusal::NothingScoped { .. }));
}

/// Up to eight tables, each with references to any of the others.
fn any_catalog() -> impl Strategy<Value = Catalog> {
    proptest::collection::vec(proptest::collection::vec(0_usize..9, 0..4), 1..8).prop_map(|tables| {
        let mut fixture = Fixture::new().table("merchants", &["id bigint pk"]);
        for (at, references) in tables.iter().enumerate() {
            let mut columns = vec!["id bigint pk".to_owned(), "code text unique".to_owned()];
            for (column, target) in references.iter().enumerate() {
                // 0 is the root; a table further on may not exist, and is then the table itself.
                let parent = match target {
                    0 => "merchants".to_owned(),
                    other if other - 1 < tables.len() => format!("t{}", other - 1),
                    _ => format!("t{at}"),
                };
                columns.push(format!("r{column} bigint -> {parent}"));
            }
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            fixture = fixture.table(&format!("t{at}"), &columns);
        }
        fixture.catalog()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn planning_is_deterministic_and_finishes(catalog in any_catalog(), by_one in 0_u64..100, by_many in 0_u64..3) {
        let config = Config { accept_defaults: true, ..existing("merchants") };
        let usage = Usage { rows: 100, by_one, by_many };
        let survey = Survey { usage: catalog.tables.keys().map(|name| (name.clone(), usage)).collect(), ..Survey::default() };
        let first = plan(&catalog, &survey, &config);
        prop_assert_eq!(&first, &plan(&catalog, &survey, &config));
        if let Ok(first) = first {
            let ids: std::collections::BTreeSet<_> = first.steps.iter().map(|step| &step.id).collect();
            prop_assert_eq!(ids.len(), first.steps.len());
            let again = plan(&after(&catalog, &first), &survey, &config).unwrap();
            prop_assert_eq!(again.steps.iter().map(|step| step.id.to_string()).collect::<Vec<_>>(), Vec::<String>::new());
        }
    }
}
