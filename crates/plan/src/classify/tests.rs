//! Each rule of classification by itself, and the order in which they win.

use std::collections::BTreeMap;

use bastide_catalog::Identity;
use bastide_sql::QualifiedName;

use super::{Classification, classify};
use crate::{
    Class, Config, Refusal, Usage,
    fixture::{Fixture, existing, foreign_key, ident, name, new, shop},
};

fn told(classification: &Classification) -> String {
    let mut lines: Vec<String> = Vec::new();
    for (table, found) in &classification.tables {
        let column =
            found.tenant_column.as_ref().map(|c| format!(" [{} {:?}]", c.name, c.origin)).unwrap_or_default();
        lines.push(format!("{}: {}{column}: {}", table.name, found.class, found.because));
    }
    for table in &classification.wanted {
        lines.push(format!("wanted {}", table.name));
    }
    for question in &classification.questions {
        lines.push(format!("asked {} {:?} = {:?}", question.id, question.choices, question.answer));
    }
    lines.join("\n")
}

fn used(tables: &[(&str, u64, u64)]) -> BTreeMap<QualifiedName, Usage> {
    tables
        .iter()
        .map(|(table, by_one, by_many)| {
            (name(table), Usage { rows: 1000, by_one: *by_one, by_many: *by_many })
        })
        .collect()
}

fn classified(fixture: Fixture, config: &Config, usage: &[(&str, u64, u64)]) -> String {
    told(&classify(&fixture.catalog(), config, &used(usage)).unwrap())
}

fn refused(fixture: Fixture, config: &Config) -> String {
    classify(&fixture.catalog(), config, &BTreeMap::new()).unwrap_err().to_string()
}

#[test]
fn what_leads_up_to_the_root_is_scoped_and_the_rest_is_measured() {
    insta::assert_snapshot!(classified(shop(), &existing("merchants"), &[]), @"
    customers: scoped [merchant_id Reused]: references public.merchants through customers.merchant_id
    merchants: scoped [id RootKey]: its rows are the tenants
    orders: scoped [tenant_id Added]: references public.merchants through orders.customer_id → customers.merchant_id
    products: closed: nothing says whose its rows are
    wanted products
    ");
}

#[test]
fn a_table_used_by_several_tenants_is_shared() {
    insta::assert_snapshot!(classified(shop(), &existing("merchants"), &[("products", 1728, 256)]), @r#"
    customers: scoped [merchant_id Reused]: references public.merchants through customers.merchant_id
    merchants: scoped [id RootKey]: its rows are the tenants
    orders: scoped [tenant_id Added]: references public.merchants through orders.customer_id → customers.merchant_id
    products: shared: used by several tenants: 256 of 1,984 used rows; shared unless the question is answered otherwise
    asked class:public.products ["shared", "closed", "scoped"] = None
    "#);
}

#[test]
fn of_a_table_used_by_several_tenants_the_operator_has_the_word() {
    for answer in ["shared", "closed", "scoped", "copy"] {
        let mut config = Config { accept_defaults: true, ..existing("merchants") };
        config.answers.insert("class:public.products".to_owned(), answer.to_owned());
        let fixture = shop().change(|catalog| {
            let products = catalog.tables.get_mut(&name("products")).unwrap();
            let id = products.columns.iter_mut().find(|column| column.name == ident("id")).unwrap();
            id.identity = Some(Identity::Always);
        });
        let found = classify(&fixture.catalog(), &config, &used(&[("products", 1728, 256)])).unwrap();
        let class = match answer {
            "shared" => Class::Shared,
            "closed" => Class::Closed,
            _ => Class::Scoped,
        };
        assert_eq!(found.class(&name("products")), Some(class), "{answer}");
        assert_eq!(found.questions[0].answer.as_deref(), Some(answer));
    }
}

#[test]
fn most_of_whose_rows_are_one_tenants_is_shared_by_no_default() {
    let defaults = Config { accept_defaults: true, ..existing("merchants") };
    let class = |by_one, by_many| {
        let found = classify(&shop().catalog(), &defaults, &used(&[("products", by_one, by_many)])).unwrap();
        assert_eq!(found.questions.len(), 1);
        found.class(&name("products")).unwrap()
    };
    assert_eq!(class(901, 99), Class::Closed);
    assert_eq!(class(900, 100), Class::Shared);
}

/// Whoever reads the catalogue would otherwise read who entered it.
#[test]
fn a_persons_table_is_shared_only_when_asked_for_whatever_refers_to_it() {
    let fixture = || {
        shop().table("people", &["id bigint pk", "e_mail text"]).change(|catalog| {
            let products = catalog.tables.get_mut(&name("products")).unwrap();
            products.foreign_keys.push(foreign_key("products_editor_fkey", &["id"], "people", &["id"]));
        })
    };
    let usage = [("products", 10, 90)];
    let defaults = Config { accept_defaults: true, ..existing("merchants") };
    insta::assert_snapshot!(classified(fixture(), &defaults, &usage), @r#"
    customers: scoped [merchant_id Reused]: references public.merchants through customers.merchant_id
    merchants: scoped [id RootKey]: its rows are the tenants
    orders: scoped [tenant_id Added]: references public.merchants through orders.customer_id → customers.merchant_id
    people: closed: referenced by a shared table, but its column e_mail looks like a person's; closed by default
    products: shared: used by several tenants: 90 of 100 used rows; shared by default
    asked class:public.people ["shared", "closed"] = Some("closed")
    asked class:public.products ["shared", "closed", "scoped"] = Some("shared")
    "#);
    let mut config = defaults;
    config.answers.insert("class:public.people".to_owned(), "shared".to_owned());
    let found = classify(&fixture().catalog(), &config, &used(&usage)).unwrap();
    assert_eq!(found.class(&name("people")), Some(Class::Shared));
}

#[test]
fn a_table_used_by_one_tenant_per_row_is_scoped() {
    insta::assert_snapshot!(classified(shop(), &existing("merchants"), &[("products", 990, 10)]), @"
    customers: scoped [merchant_id Reused]: references public.merchants through customers.merchant_id
    merchants: scoped [id RootKey]: its rows are the tenants
    orders: scoped [tenant_id Added]: references public.merchants through orders.customer_id → customers.merchant_id
    products: scoped [tenant_id Added]: used by one tenant each: 990 of 1,000 used rows
    ");
}

#[test]
fn too_few_rows_make_a_question() {
    insta::assert_snapshot!(classified(shop(), &existing("merchants"), &[("products", 19, 0)]), @r#"
    customers: scoped [merchant_id Reused]: references public.merchants through customers.merchant_id
    merchants: scoped [id RootKey]: its rows are the tenants
    orders: scoped [tenant_id Added]: references public.merchants through orders.customer_id → customers.merchant_id
    products: closed: only 19 of its rows are used by rows that have a tenant, too few to tell; closed unless the question is answered otherwise
    asked class:public.products ["shared", "closed", "scoped"] = None
    "#);
}

#[test]
fn answers_and_defaults_are_honoured() {
    let mut config = existing("merchants");
    config.answers.insert("class:public.products".to_owned(), "scoped".to_owned());
    insta::assert_snapshot!(classified(shop(), &config, &[("products", 19, 0)]), @r#"
    customers: scoped [merchant_id Reused]: references public.merchants through customers.merchant_id
    merchants: scoped [id RootKey]: its rows are the tenants
    orders: scoped [tenant_id Added]: references public.merchants through orders.customer_id → customers.merchant_id
    products: scoped [tenant_id Added]: answered `scoped` in the plan; only 19 of its rows are used by rows that have a tenant, too few to tell
    asked class:public.products ["shared", "closed", "scoped"] = Some("scoped")
    "#);
    let defaults = Config { accept_defaults: true, ..existing("merchants") };
    insta::assert_snapshot!(classified(shop(), &defaults, &[("products", 19, 0)]), @r#"
    customers: scoped [merchant_id Reused]: references public.merchants through customers.merchant_id
    merchants: scoped [id RootKey]: its rows are the tenants
    orders: scoped [tenant_id Added]: references public.merchants through orders.customer_id → customers.merchant_id
    products: closed: only 19 of its rows are used by rows that have a tenant, too few to tell; closed by default
    asked class:public.products ["shared", "closed", "scoped"] = Some("closed")
    "#);
    config.answers.insert("class:public.products".to_owned(), "mine".to_owned());
    let error = classify(&shop().catalog(), &config, &used(&[("products", 19, 0)])).unwrap_err();
    insta::assert_snapshot!(error.to_string(), @"the question class:public.products has the answer `mine`; it takes shared, closed or scoped");
}

#[test]
fn what_a_shared_table_references_is_shared() {
    let fixture = shop().table("makers", &["id bigint pk"]).with(|_| {}).change(|catalog| {
        let products = catalog.tables.get_mut(&name("products")).unwrap();
        products.foreign_keys.push(foreign_key("products_maker_fkey", &["id"], "makers", &["id"]));
    });
    insta::assert_snapshot!(classified(fixture, &existing("merchants"), &[("products", 0, 10)]), @r#"
    customers: scoped [merchant_id Reused]: references public.merchants through customers.merchant_id
    makers: shared: referenced by public.products, which is shared
    merchants: scoped [id RootKey]: its rows are the tenants
    orders: scoped [tenant_id Added]: references public.merchants through orders.customer_id → customers.merchant_id
    products: shared: used by several tenants: 10 of 10 used rows; shared unless the question is answered otherwise
    asked class:public.products ["shared", "closed", "scoped"] = None
    "#);
}

/// `bundles` is used by one tenant each, but products, which are shared, reference it: shared wins, whatever was looked
/// at first.
#[test]
fn shared_by_reference_wins_over_scoped_by_use() {
    let fixture = || {
        shop()
            .table("bundles", &["id bigint pk"])
            .table("offers", &["id bigint pk", "order_id bigint -> orders", "bundle_id bigint -> bundles"])
            .change(|catalog| {
                let products = catalog.tables.get_mut(&name("products")).unwrap();
                products.foreign_keys.push(foreign_key("products_bundle_fkey", &["id"], "bundles", &["id"]));
            })
    };
    let both = [("bundles", 100, 0), ("products", 50, 50)];
    insta::assert_snapshot!(classified(fixture(), &existing("merchants"), &both), @r#"
    bundles: shared: referenced by public.products, which is shared
    customers: scoped [merchant_id Reused]: references public.merchants through customers.merchant_id
    merchants: scoped [id RootKey]: its rows are the tenants
    offers: scoped [tenant_id Added]: references public.merchants through offers.order_id → orders.customer_id → customers.merchant_id
    orders: scoped [tenant_id Added]: references public.merchants through orders.customer_id → customers.merchant_id
    products: shared: used by several tenants: 50 of 100 used rows; shared unless the question is answered otherwise
    asked class:public.products ["shared", "closed", "scoped"] = None
    "#);
    // While products are not measured, nothing is concluded about bundles.
    let catalog = fixture().catalog();
    let first = classify(&catalog, &existing("merchants"), &used(&both[..1])).unwrap();
    assert_eq!(first.wanted, [name("products")]);
    assert!(!first.is_scoped(&name("bundles")));
}

#[test]
fn partitions_and_children_follow_their_parent() {
    let fixture = shop()
        .table("events", &["id bigint pk", "order_id bigint -> orders"])
        .with(|table| table.kind = bastide_catalog::TableKind::Partitioned)
        .child("events_2024", "events")
        .table("notes", &["id bigint pk"])
        .child("order_notes", "notes")
        .with(|table| table.foreign_keys.push(foreign_key("order_notes_fkey", &["id"], "orders", &["id"])));
    insta::assert_snapshot!(classified(fixture, &existing("merchants"), &[("products", 0, 10)]), @r#"
    customers: scoped [merchant_id Reused]: references public.merchants through customers.merchant_id
    events: scoped [tenant_id Added]: references public.merchants through events.order_id → orders.customer_id → customers.merchant_id
    events_2024: scoped [tenant_id Added]: references public.merchants through events.order_id → orders.customer_id → customers.merchant_id (with public.events)
    merchants: scoped [id RootKey]: its rows are the tenants
    notes: scoped [tenant_id Added]: references public.merchants through order_notes.id → orders.customer_id → customers.merchant_id
    order_notes: scoped [tenant_id Added]: references public.merchants through order_notes.id → orders.customer_id → customers.merchant_id (with public.notes)
    orders: scoped [tenant_id Added]: references public.merchants through orders.customer_id → customers.merchant_id
    products: shared: used by several tenants: 10 of 10 used rows; shared unless the question is answered otherwise
    asked class:public.products ["shared", "closed", "scoped"] = None
    "#);
}

#[test]
fn excluded_tables_are_closed_and_hide_what_is_behind_them() {
    let mut config = existing("merchants");
    config.exclude_tables.insert(name("customers"));
    insta::assert_snapshot!(classified(shop(), &config, &[]), @r#"
    customers: closed: excluded with --exclude-table public.customers
    merchants: scoped [id RootKey]: its rows are the tenants
    orders: closed: nothing says whose its rows are; closed unless the question is answered otherwise
    products: closed: nothing says whose its rows are; closed unless the question is answered otherwise
    asked class:public.orders ["shared", "closed"] = None
    asked class:public.products ["shared", "closed"] = None
    "#);
    let mut config = existing("merchants");
    config.exclude_tables.insert(name("order_notes"));
    let fixture =
        shop().table("notes", &["id bigint pk", "order_id bigint -> orders"]).child("order_notes", "notes");
    insta::assert_snapshot!(refused(fixture, &config), @"public.order_notes is excluded, but its rows are read through public.notes, which is scoped; exclude both or neither");
}

#[test]
fn with_a_new_root_everything_is_its_one_tenants() {
    insta::assert_snapshot!(classified(shop(), &new("companies"), &[]), @"
    customers: scoped [tenant_id Added]: the whole database was declared to be one tenant's (--new-tenant-root)
    merchants: scoped [tenant_id Added]: the whole database was declared to be one tenant's (--new-tenant-root)
    orders: scoped [tenant_id Added]: the whole database was declared to be one tenant's (--new-tenant-root)
    products: scoped [tenant_id Added]: the whole database was declared to be one tenant's (--new-tenant-root)
    ");
    let root = classify(&shop().catalog(), &new("companies"), &BTreeMap::new()).unwrap().root;
    insta::assert_snapshot!(format!("{:?}", root.first_tenant.unwrap()), @r#"Tenant { id: "17b0456c-c4b8-8aa2-bb44-a6b9b3b3b65e", name: "shop", slug: "shop" }"#);
}

#[test]
fn the_tenant_column_is_reused_only_when_it_is_the_only_reference_of_its_type() {
    let fixture = Fixture::new()
        .table("merchants", &["id uuid pk"])
        .table("one", &["id bigint pk", "shop uuid -> merchants"])
        .table("other_type", &["id bigint pk", "merchant text -> merchants"])
        .table("two", &["id bigint pk", "buyer uuid -> merchants", "seller uuid -> merchants"])
        .table("taken", &["id bigint pk", "tenant_id text", "one_id bigint -> one"]);
    insta::assert_snapshot!(classified(fixture, &existing("merchants"), &[]), @"
    merchants: scoped [id RootKey]: its rows are the tenants
    one: scoped [shop Reused]: references public.merchants through one.shop
    other_type: scoped [tenant_id Added]: references public.merchants through other_type.merchant
    taken: scoped [bastide_tenant_id Added]: references public.merchants through taken.one_id → one.shop
    two: scoped [tenant_id Added]: references public.merchants through two.buyer
    ");
}

#[test]
fn roots_that_cannot_be_one_are_refused() {
    let root = |config: &str| refused(shop().view("v", &["merchants"]), &existing(config));
    insta::assert_snapshot!(root("merchant"), @"there is no table public.merchant in this database; did you mean public.merchants?");
    insta::assert_snapshot!(root("no_such_thing"), @"there is no table public.no_such_thing in this database; write it as the catalog has it, for example --tenant-root public.merchants");
    insta::assert_snapshot!(root("v"), @"public.v is a view; the tenant root must be an ordinary table: name another with --tenant-root schema.table");
    let fixture = Fixture::new().table("pairs", &["a int pk", "b int pk"]);
    insta::assert_snapshot!(refused(fixture, &existing("pairs")), @"public.pairs has no key of one column that is NOT NULL and not deferrable; a tenant is known by one value: add such a key, or name another table with --tenant-root schema.table");
    let loose = || Some("public.loose".parse().unwrap());
    let fixture =
        Fixture::new().table("codes", &["code text pk"]).with(|table| table.columns[0].collation = loose());
    insta::assert_snapshot!(refused(fixture, &existing("codes")), @"the key code of public.codes is compared by the collation public.loose, which calls values equal that are not the same, and policies would give both tenants' rows to either; add a key of one column without it (an id will do), or name another table with --tenant-root schema.table");
    insta::assert_snapshot!(refused(shop(), &new("orders")), @"a table named public.orders is there already; choose another name with --new-tenant-root, or use the table as it is with --tenant-root public.orders");
    insta::assert_snapshot!(refused(shop(), &new("nowhere.companies")), @"the schema nowhere is not there; create it, or name the new root in one that is, for example --new-tenant-root public.companies");
    let mut config = existing("merchants");
    config.exclude_schemas.insert(ident("public"));
    insta::assert_snapshot!(refused(shop(), &config), @"public.merchants is the tenant root and excluded at the same time; leave out --exclude-table or --exclude-schema");
}

#[test]
fn tables_that_cannot_be_protected_are_refused() {
    let foreign = |table: &mut bastide_catalog::Table| table.kind = bastide_catalog::TableKind::Foreign;
    let fixture = shop().table("remote", &["order_id bigint -> orders"]).with(foreign);
    insta::assert_snapshot!(refused(fixture, &existing("merchants")), @"public.remote holds tenants' rows, but is a foreign table, which Bastide cannot protect; leave it out with --exclude-table public.remote");
    let fixture =
        shop().table("taken", &["order_id bigint -> orders", "tenant_id int", "bastide_tenant_id int"]);
    assert_eq!(
        classify(&fixture.catalog(), &existing("merchants"), &BTreeMap::new()).unwrap_err(),
        Refusal::ColumnTaken { table: name("taken") }
    );
}

#[test]
fn a_column_that_calls_tenants_equal_is_no_tenant_column() {
    let fixture = || {
        Fixture::new()
            .table("shops", &["code text pk"])
            .table("orders", &["id int pk", "shop text -> shops.code"])
    };
    let column = |fixture: Fixture| {
        let found = classify(&fixture.catalog(), &existing("shops"), &BTreeMap::new()).unwrap();
        found.tables[&name("orders")].tenant_column.clone().unwrap().name.to_string()
    };
    assert_eq!(column(fixture()), "shop");
    let loose = fixture().with(|table| table.columns[1].collation = Some("public.loose".parse().unwrap()));
    assert_eq!(column(loose), "tenant_id");
}
