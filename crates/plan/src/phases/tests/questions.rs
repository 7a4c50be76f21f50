//! What is refused, and what the operator is asked.

use bastide_catalog::{Action, Trigger, TriggerEnabled};
use bastide_sql::Sql;

use super::{about, refused, survey};
use crate::{
    Config, LinkSurvey, Refusal, Survey, TableSurvey,
    fixture::{Fixture, existing, grant, ident, name, shop},
    plan,
};

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
    insta::assert_snapshot!(error.to_string(), @r#"
    public.merchants is not a tenant boundary: these references join different tenants:
      12,035 of 16,044 rows of public.orders cross by orders_customer_id_fkey to public.customers
    name another table with --tenant-root schema.table, or make one with --new-tenant-root name; to take public.merchants all the same, and settle what crosses by question, write in bastide.toml
      [answers]
      "boundary:public.merchants" = "accept"
    "#);
    assert!(plan(&shop().catalog(), &crossing(160), &config).is_ok());
}

#[test]
fn a_few_crossing_links_are_a_question() {
    let catalog = shop().catalog();
    let open = plan(&catalog, &crossing(12), &existing("merchants")).unwrap();
    insta::assert_snapshot!(open.open().filter(|question| question.id.starts_with("link:")).map(|question| format!("{}: {}", question.id, question.text)).collect::<String>(), @"link:public.orders:orders_customer_id_fkey: 12 of 16,044 references of public.orders to public.customers (orders_customer_id_fkey) join two tenants, for example 17. `hold_aside`: at cutover 12 row(s) of public.orders move to bastide.held, with what references them. `cut`: at cutover customer_id becomes NULL in 12 row(s) of public.orders; the old value is kept in bastide.changed. `move`: at cutover 12 row(s) of public.orders, and what references them, become the tenant's whose row of public.customers they reference. Not `copy`: a second row would break the unique key customers_pkey of public.customers. Rollback takes each of them back. Otherwise choose another tenant root.");
    let config = Config { accept_defaults: true, ..existing("merchants") };
    let plan = plan(&catalog, &crossing(12), &config).unwrap();
    assert_eq!(plan.open().count(), 0);
    assert_eq!(about(&plan, "hold_aside"), "hold_aside:crossing");
}

#[test]
fn what_stands_in_the_way_is_named() {
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
