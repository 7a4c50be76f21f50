//! Which steps a schema gives, by their ids, and in which order.

mod questions;
mod shapes;

use bastide_catalog::{Action, Catalog, View};
use proptest::prelude::*;

use crate::{
    Config, Phase, Plan, Survey, Usage,
    fixture::{Fixture, existing, foreign_key, name, new, shop},
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
fn an_event_trigger_is_planned_last_where_it_is_asked_for_and_missing() {
    let mut config = existing("merchants");
    assert_eq!(about(&planned(shop(), &config), "watch_ddl"), "");
    config.declared.watch.event_trigger = true;
    let plan = planned(shop(), &config);
    assert_eq!(steps(&plan, Phase::Optimisation).lines().last(), Some("watch_ddl:bastide"));
    let mut there = shop().catalog();
    there.event_triggers = vec![bastide_catalog::EventTrigger {
        name: bastide_sql::Ident::constant("bastide_ddl"),
        function: "bastide.note_ddl".parse().unwrap(),
        enabled: bastide_catalog::TriggerEnabled::Origin,
    }];
    let again = crate::plan(&there, &survey(), &config).unwrap();
    assert_eq!(about(&again, "watch_ddl"), "");
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
    carry_moves:public.customers
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
    infer_tenants:3
    backfill:public.customers.merchant_id:3
    backfill:public.orders.tenant_id:3
    add_tenant_foreign_key:public.orders.orders_customer_id_fkey_tenant
    validate_constraint:public.orders.orders_customer_id_fkey_tenant
    add_tenant_foreign_key:public.orders.orders_tenant_fkey
    validate_constraint:public.orders.orders_tenant_fkey
    drop_legacy_key:public.orders.orders_customer_id_fkey
    drop_legacy_key:public.customers.customers_email_key
    close_table:public.customers
    close_table:public.merchants
    close_table:public.orders
    end_moves:public.customers
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
    infer_tenants:1
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
    end_moves:public.customers
    release_legacy_writes:public.customers
    release_legacy_writes:public.orders
    ");
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
