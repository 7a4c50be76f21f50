//! The databases of others: what becomes of each table, and which steps are planned.

use std::collections::BTreeMap;

use bastide_catalog::Catalog;
use bastide_plan::{Class, Config, Phase, Plan, Refusal, RootChoice, plan};
use bastide_sql::Ident;

use crate::survey;

fn config(root: RootChoice) -> Config {
    Config {
        root,
        app_role: Ident::constant("bastide_app"),
        exclude_schemas: Default::default(),
        exclude_tables: Default::default(),
        accept_defaults: true,
        declared: bastide_plan::Declarations::default(),
        answers: BTreeMap::new(),
    }
}

fn existing(name: &str) -> Config {
    config(RootChoice::Existing(name.parse().unwrap()))
}

fn new(name: &str) -> Config {
    config(RootChoice::New(name.parse().unwrap()))
}

/// Plans, and applies every step to the catalog; `None` where the dump is not there.
async fn planned(database: &str, config: &Config) -> Option<(Catalog, Result<Plan, Refusal>)> {
    let (server, database) = bastide_testkit::legacy(database).await?;
    let mut client = database.client().await;
    let mut catalog = bastide_catalog::read(&mut client).await.unwrap();
    // Each test server is another one, and a new root's first tenant is known by it.
    catalog.server.system_identifier = Some("1".to_owned());
    catalog.server.database_oid = 1;
    let survey = survey::take(&client, &catalog, config).await;
    drop(server);
    let plan = plan(&catalog, &survey, config);
    if let Ok(first) = &plan {
        let mut projected = catalog.clone();
        for step in &first.steps {
            step.step.apply(&mut projected);
        }
        // What is finished is finished: the projection leaves nothing to plan.
        let again = bastide_plan::plan(&projected, &survey, config).unwrap();
        assert_eq!(
            again.steps.iter().map(|step| step.id.to_string()).collect::<Vec<_>>(),
            Vec::<String>::new()
        );
    }
    Some((catalog, plan))
}

fn classes(plan: &Plan, class: Class) -> String {
    plan.tables_of(class).map(|(name, _)| name.name.to_string()).collect::<Vec<_>>().join(" ")
}

fn steps(plan: &Plan, phase: Phase) -> String {
    plan.steps_of(phase).map(|step| step.id.to_string()).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn chinook_by_customer() {
    let Some((_, plan)) = planned("chinook", &existing("public.customer")).await else { return };
    let plan = plan.unwrap();
    insta::assert_snapshot!(classes(&plan, Class::Scoped), @"customer invoice invoice_line");
    insta::assert_snapshot!(classes(&plan, Class::Shared), @"album artist genre media_type track");
    insta::assert_snapshot!(classes(&plan, Class::Closed), @"employee playlist playlist_track");
    insta::assert_snapshot!(steps(&plan, Phase::Assignment), @"
    create_context:bastide
    add_tenant:quarantine
    add_tenant_column:public.invoice_line.tenant_id
    keep_legacy_writes:public.invoice_line
    carry_moves:public.invoice
    infer_tenants:1
    backfill:public.invoice_line.tenant_id:1
    infer_tenants:2
    backfill:public.invoice_line.tenant_id:2
    add_not_null_check:public.invoice_line.invoice_line_has_tenant
    validate_constraint:public.invoice_line.invoice_line_has_tenant
    set_not_null:public.invoice_line.tenant_id
    drop_check:public.invoice_line.invoice_line_has_tenant
    set_tenant_default:public.invoice.customer_id
    set_tenant_default:public.invoice_line.tenant_id
    ");
    insta::assert_snapshot!(steps(&plan, Phase::Policies), @"
    create_app_role:bastide_app
    add_tenant_key:public.invoice.invoice_invoice_id_tenant_key
    protect_table:public.customer
    protect_table:public.invoice
    protect_table:public.invoice_line
    grant_app:schema public
    grant_app:public.customer
    grant_app:public.invoice
    grant_app:public.invoice_line
    grant_app:public.album
    grant_app:public.artist
    grant_app:public.genre
    grant_app:public.media_type
    grant_app:public.track
    grant_app:sequence public.invoice_invoice_id_seq
    grant_app:sequence public.invoice_line_invoice_line_id_seq
    ");
    insta::assert_snapshot!(steps(&plan, Phase::Optimisation), @"
    add_tenant_index:public.invoice_line.invoice_line_tenant_idx
    analyze_table:public.invoice
    analyze_table:public.invoice_line
    ");
    insta::assert_snapshot!(steps(&plan, Phase::Cutover), @"
    infer_tenants:3
    backfill:public.invoice.customer_id:3
    backfill:public.invoice_line.tenant_id:3
    add_tenant_foreign_key:public.invoice_line.invoice_line_invoice_id_fkey_tenant
    validate_constraint:public.invoice_line.invoice_line_invoice_id_fkey_tenant
    add_tenant_foreign_key:public.invoice_line.invoice_line_tenant_fkey
    validate_constraint:public.invoice_line.invoice_line_tenant_fkey
    drop_legacy_key:public.invoice_line.invoice_line_invoice_id_fkey
    close_table:public.customer
    close_table:public.invoice
    close_table:public.invoice_line
    end_moves:public.invoice
    release_legacy_writes:public.invoice_line
    ");
    insta::assert_snapshot!(plan.notes.join("\n"), @"
    3 scoped tables belong to the superuser postgres, whom row security never binds
    public.customer references public.employee by customer_support_rep_id_fkey, which is closed: the application can tell whether a key is there
    ");
}

#[tokio::test]
async fn northwind_by_customer() {
    let Some((_, plan)) = planned("northwind", &existing("public.customers")).await else { return };
    let plan = plan.unwrap();
    insta::assert_snapshot!(classes(&plan, Class::Scoped), @"customer_customer_demo customers order_details orders");
    insta::assert_snapshot!(classes(&plan, Class::Shared), @"categories products shippers suppliers");
    insta::assert_snapshot!(classes(&plan, Class::Closed), @"customer_demographics employee_territories employees region territories us_states");
    insta::assert_snapshot!(steps(&plan, Phase::Assignment), @"
    create_context:bastide
    add_tenant:quarantine
    add_tenant_column:public.order_details.tenant_id
    keep_legacy_writes:public.order_details
    keep_legacy_writes:public.orders
    carry_moves:public.orders
    infer_tenants:1
    backfill:public.orders.customer_id:1
    backfill:public.order_details.tenant_id:1
    infer_tenants:2
    backfill:public.orders.customer_id:2
    backfill:public.order_details.tenant_id:2
    add_not_null_check:public.order_details.order_details_has_tenant
    validate_constraint:public.order_details.order_details_has_tenant
    set_not_null:public.order_details.tenant_id
    drop_check:public.order_details.order_details_has_tenant
    add_not_null_check:public.orders.orders_has_tenant
    validate_constraint:public.orders.orders_has_tenant
    set_not_null:public.orders.customer_id
    drop_check:public.orders.orders_has_tenant
    set_tenant_default:public.customer_customer_demo.customer_id
    set_tenant_default:public.order_details.tenant_id
    set_tenant_default:public.orders.customer_id
    ");
    insta::assert_snapshot!(plan.notes.join("\n"), @"
    4 scoped tables belong to the superuser postgres, whom row security never binds
    public.customer_customer_demo references public.customer_demographics by fk_customer_customer_demo_customer_demographics, which is closed: the application can tell whether a key is there
    public.orders references public.employees by fk_orders_employees, which is closed: the application can tell whether a key is there
    ");
}

#[tokio::test]
async fn northwind_as_one_tenant() {
    let Some((catalog, plan)) = planned("northwind", &new("public.tenants")).await else { return };
    let plan = plan.unwrap();
    assert_eq!(plan.tables_of(Class::Scoped).count(), catalog.tables.len() + 1);
    assert_eq!(plan.questions, []);
    insta::assert_snapshot!(plan.notes.join("\n"), @"14 scoped tables belong to the superuser postgres, whom row security never binds");
}

#[tokio::test]
async fn sakila_as_one_tenant() {
    let Some((catalog, plan)) = planned("sakila", &new("public.tenants")).await else { return };
    let plan = plan.unwrap();
    assert_eq!(plan.tables_of(Class::Scoped).count(), catalog.tables.len() + 1);
    insta::assert_snapshot!(steps(&plan, Phase::Assignment), @"
    create_context:bastide
    create_tenant_root:public.tenants
    add_tenant:4cea4192-0720-864b-bcea-7143651d56ca
    add_tenant_column:public.actor.tenant_id
    add_tenant_column:public.address.tenant_id
    add_tenant_column:public.category.tenant_id
    add_tenant_column:public.city.tenant_id
    add_tenant_column:public.country.tenant_id
    add_tenant_column:public.customer.tenant_id
    add_tenant_column:public.film.tenant_id
    add_tenant_column:public.film_actor.tenant_id
    add_tenant_column:public.film_category.tenant_id
    add_tenant_column:public.inventory.tenant_id
    add_tenant_column:public.language.tenant_id
    add_tenant_column:public.payment.tenant_id
    add_tenant_column:public.rental.tenant_id
    add_tenant_column:public.staff.tenant_id
    add_tenant_column:public.store.tenant_id
    infer_tenants:1
    set_tenant_default:public.actor.tenant_id (with fallback)
    set_tenant_default:public.address.tenant_id (with fallback)
    set_tenant_default:public.category.tenant_id (with fallback)
    set_tenant_default:public.city.tenant_id (with fallback)
    set_tenant_default:public.country.tenant_id (with fallback)
    set_tenant_default:public.customer.tenant_id (with fallback)
    set_tenant_default:public.film.tenant_id (with fallback)
    set_tenant_default:public.film_actor.tenant_id (with fallback)
    set_tenant_default:public.film_category.tenant_id (with fallback)
    set_tenant_default:public.inventory.tenant_id (with fallback)
    set_tenant_default:public.language.tenant_id (with fallback)
    set_tenant_default:public.payment.tenant_id (with fallback)
    set_tenant_default:public.rental.tenant_id (with fallback)
    set_tenant_default:public.staff.tenant_id (with fallback)
    set_tenant_default:public.store.tenant_id (with fallback)
    set_tenant_default:public.payment_p2007_01.tenant_id (with fallback)
    set_tenant_default:public.payment_p2007_02.tenant_id (with fallback)
    set_tenant_default:public.payment_p2007_03.tenant_id (with fallback)
    set_tenant_default:public.payment_p2007_04.tenant_id (with fallback)
    set_tenant_default:public.payment_p2007_05.tenant_id (with fallback)
    set_tenant_default:public.payment_p2007_06.tenant_id (with fallback)
    ");
    insta::assert_snapshot!(steps(&plan, Phase::Policies), @"
    create_app_role:bastide_app
    add_tenant_key:public.city.city_city_id_tenant_key
    add_tenant_key:public.country.country_country_id_tenant_key
    add_tenant_key:public.address.address_address_id_tenant_key
    add_tenant_key:public.store.store_store_id_tenant_key
    add_tenant_key:public.language.language_language_id_tenant_key
    add_tenant_key:public.actor.actor_actor_id_tenant_key
    add_tenant_key:public.film.film_film_id_tenant_key
    add_tenant_key:public.category.category_category_id_tenant_key
    add_tenant_key:public.customer.customer_customer_id_tenant_key
    add_tenant_key:public.rental.rental_rental_id_tenant_key
    add_tenant_key:public.staff.staff_staff_id_tenant_key
    add_tenant_key:public.inventory.inventory_inventory_id_tenant_key
    add_tenant_key:public.rental.idx_unq_rental_rental_date_inventory_id_customer_id_tenant_key
    add_tenant_key:public.store.idx_unq_manager_staff_id_tenant_key
    protect_table:public.actor
    protect_table:public.address
    protect_table:public.category
    protect_table:public.city
    protect_table:public.country
    protect_table:public.customer
    protect_table:public.film
    protect_table:public.film_actor
    protect_table:public.film_category
    protect_table:public.inventory
    protect_table:public.language
    protect_table:public.payment
    protect_table:public.rental
    protect_table:public.staff
    protect_table:public.store
    protect_table:public.tenants
    protect_table:public.payment_p2007_01
    protect_table:public.payment_p2007_02
    protect_table:public.payment_p2007_03
    protect_table:public.payment_p2007_04
    protect_table:public.payment_p2007_05
    protect_table:public.payment_p2007_06
    secure_view:public.actor_info
    secure_view:public.customer_list
    secure_view:public.film_list
    secure_view:public.nicer_but_slower_film_list
    secure_view:public.sales_by_film_category
    secure_view:public.sales_by_store
    secure_view:public.staff_list
    restrict_function:public.rewards_report(min_monthly_purchases integer, min_dollar_amount_purchased numeric)
    grant_app:schema public
    grant_app:public.actor
    grant_app:public.address
    grant_app:public.category
    grant_app:public.city
    grant_app:public.country
    grant_app:public.customer
    grant_app:public.film
    grant_app:public.film_actor
    grant_app:public.film_category
    grant_app:public.inventory
    grant_app:public.language
    grant_app:public.payment
    grant_app:public.rental
    grant_app:public.staff
    grant_app:public.store
    grant_app:public.tenants
    grant_app:public.actor_info
    grant_app:public.customer_list
    grant_app:public.film_list
    grant_app:public.nicer_but_slower_film_list
    grant_app:public.sales_by_film_category
    grant_app:public.sales_by_store
    grant_app:public.staff_list
    grant_app:sequence public.actor_actor_id_seq
    grant_app:sequence public.address_address_id_seq
    grant_app:sequence public.category_category_id_seq
    grant_app:sequence public.city_city_id_seq
    grant_app:sequence public.country_country_id_seq
    grant_app:sequence public.customer_customer_id_seq
    grant_app:sequence public.film_film_id_seq
    grant_app:sequence public.inventory_inventory_id_seq
    grant_app:sequence public.language_language_id_seq
    grant_app:sequence public.payment_payment_id_seq
    grant_app:sequence public.rental_rental_id_seq
    grant_app:sequence public.staff_staff_id_seq
    grant_app:sequence public.store_store_id_seq
    ");
    insta::assert_snapshot!(steps(&plan, Phase::Optimisation), @"
    add_tenant_index:public.film_actor.film_actor_tenant_idx
    add_tenant_index:public.film_category.film_category_tenant_idx
    add_tenant_index:public.payment.payment_tenant_idx
    add_tenant_index:public.payment_p2007_01.payment_p2007_01_tenant_idx
    add_tenant_index:public.payment_p2007_02.payment_p2007_02_tenant_idx
    add_tenant_index:public.payment_p2007_03.payment_p2007_03_tenant_idx
    add_tenant_index:public.payment_p2007_04.payment_p2007_04_tenant_idx
    add_tenant_index:public.payment_p2007_05.payment_p2007_05_tenant_idx
    add_tenant_index:public.payment_p2007_06.payment_p2007_06_tenant_idx
    analyze_table:public.actor
    analyze_table:public.address
    analyze_table:public.category
    analyze_table:public.city
    analyze_table:public.country
    analyze_table:public.customer
    analyze_table:public.film
    analyze_table:public.film_actor
    analyze_table:public.film_category
    analyze_table:public.inventory
    analyze_table:public.language
    analyze_table:public.payment
    analyze_table:public.payment_p2007_01
    analyze_table:public.payment_p2007_02
    analyze_table:public.payment_p2007_03
    analyze_table:public.payment_p2007_04
    analyze_table:public.payment_p2007_05
    analyze_table:public.payment_p2007_06
    analyze_table:public.rental
    analyze_table:public.staff
    analyze_table:public.store
    ");
    insta::assert_snapshot!(steps(&plan, Phase::Cutover), @"
    add_tenant_foreign_key:public.address.address_city_id_fkey_tenant
    validate_constraint:public.address.address_city_id_fkey_tenant
    add_tenant_foreign_key:public.city.city_country_id_fkey_tenant
    validate_constraint:public.city.city_country_id_fkey_tenant
    add_tenant_foreign_key:public.customer.customer_address_id_fkey_tenant
    validate_constraint:public.customer.customer_address_id_fkey_tenant
    add_tenant_foreign_key:public.customer.customer_store_id_fkey_tenant
    validate_constraint:public.customer.customer_store_id_fkey_tenant
    add_tenant_foreign_key:public.film.film_language_id_fkey_tenant
    validate_constraint:public.film.film_language_id_fkey_tenant
    add_tenant_foreign_key:public.film.film_original_language_id_fkey_tenant
    validate_constraint:public.film.film_original_language_id_fkey_tenant
    add_tenant_foreign_key:public.film_actor.film_actor_actor_id_fkey_tenant
    validate_constraint:public.film_actor.film_actor_actor_id_fkey_tenant
    add_tenant_foreign_key:public.film_actor.film_actor_film_id_fkey_tenant
    validate_constraint:public.film_actor.film_actor_film_id_fkey_tenant
    add_tenant_foreign_key:public.film_category.film_category_category_id_fkey_tenant
    validate_constraint:public.film_category.film_category_category_id_fkey_tenant
    add_tenant_foreign_key:public.film_category.film_category_film_id_fkey_tenant
    validate_constraint:public.film_category.film_category_film_id_fkey_tenant
    add_tenant_foreign_key:public.inventory.inventory_film_id_fkey_tenant
    validate_constraint:public.inventory.inventory_film_id_fkey_tenant
    add_tenant_foreign_key:public.inventory.inventory_store_id_fkey_tenant
    validate_constraint:public.inventory.inventory_store_id_fkey_tenant
    add_tenant_foreign_key:public.payment.payment_customer_id_fkey_tenant
    validate_constraint:public.payment.payment_customer_id_fkey_tenant
    add_tenant_foreign_key:public.payment.payment_rental_id_fkey_tenant
    validate_constraint:public.payment.payment_rental_id_fkey_tenant
    add_tenant_foreign_key:public.payment.payment_staff_id_fkey_tenant
    validate_constraint:public.payment.payment_staff_id_fkey_tenant
    add_tenant_foreign_key:public.rental.rental_customer_id_fkey_tenant
    validate_constraint:public.rental.rental_customer_id_fkey_tenant
    add_tenant_foreign_key:public.rental.rental_inventory_id_fkey_tenant
    validate_constraint:public.rental.rental_inventory_id_fkey_tenant
    add_tenant_foreign_key:public.rental.rental_staff_id_fkey_tenant
    validate_constraint:public.rental.rental_staff_id_fkey_tenant
    add_tenant_foreign_key:public.staff.staff_address_id_fkey_tenant
    validate_constraint:public.staff.staff_address_id_fkey_tenant
    add_tenant_foreign_key:public.staff.staff_store_id_fkey_tenant
    validate_constraint:public.staff.staff_store_id_fkey_tenant
    add_tenant_foreign_key:public.store.store_address_id_fkey_tenant
    validate_constraint:public.store.store_address_id_fkey_tenant
    add_tenant_foreign_key:public.store.store_manager_staff_id_fkey_tenant
    validate_constraint:public.store.store_manager_staff_id_fkey_tenant
    add_tenant_foreign_key:public.payment_p2007_01.payment_p2007_01_customer_id_fkey_tenant
    validate_constraint:public.payment_p2007_01.payment_p2007_01_customer_id_fkey_tenant
    add_tenant_foreign_key:public.payment_p2007_01.payment_p2007_01_rental_id_fkey_tenant
    validate_constraint:public.payment_p2007_01.payment_p2007_01_rental_id_fkey_tenant
    add_tenant_foreign_key:public.payment_p2007_01.payment_p2007_01_staff_id_fkey_tenant
    validate_constraint:public.payment_p2007_01.payment_p2007_01_staff_id_fkey_tenant
    add_tenant_foreign_key:public.payment_p2007_02.payment_p2007_02_customer_id_fkey_tenant
    validate_constraint:public.payment_p2007_02.payment_p2007_02_customer_id_fkey_tenant
    add_tenant_foreign_key:public.payment_p2007_02.payment_p2007_02_rental_id_fkey_tenant
    validate_constraint:public.payment_p2007_02.payment_p2007_02_rental_id_fkey_tenant
    add_tenant_foreign_key:public.payment_p2007_02.payment_p2007_02_staff_id_fkey_tenant
    validate_constraint:public.payment_p2007_02.payment_p2007_02_staff_id_fkey_tenant
    add_tenant_foreign_key:public.payment_p2007_03.payment_p2007_03_customer_id_fkey_tenant
    validate_constraint:public.payment_p2007_03.payment_p2007_03_customer_id_fkey_tenant
    add_tenant_foreign_key:public.payment_p2007_03.payment_p2007_03_rental_id_fkey_tenant
    validate_constraint:public.payment_p2007_03.payment_p2007_03_rental_id_fkey_tenant
    add_tenant_foreign_key:public.payment_p2007_03.payment_p2007_03_staff_id_fkey_tenant
    validate_constraint:public.payment_p2007_03.payment_p2007_03_staff_id_fkey_tenant
    add_tenant_foreign_key:public.payment_p2007_04.payment_p2007_04_customer_id_fkey_tenant
    validate_constraint:public.payment_p2007_04.payment_p2007_04_customer_id_fkey_tenant
    add_tenant_foreign_key:public.payment_p2007_04.payment_p2007_04_rental_id_fkey_tenant
    validate_constraint:public.payment_p2007_04.payment_p2007_04_rental_id_fkey_tenant
    add_tenant_foreign_key:public.payment_p2007_04.payment_p2007_04_staff_id_fkey_tenant
    validate_constraint:public.payment_p2007_04.payment_p2007_04_staff_id_fkey_tenant
    add_tenant_foreign_key:public.payment_p2007_05.payment_p2007_05_customer_id_fkey_tenant
    validate_constraint:public.payment_p2007_05.payment_p2007_05_customer_id_fkey_tenant
    add_tenant_foreign_key:public.payment_p2007_05.payment_p2007_05_rental_id_fkey_tenant
    validate_constraint:public.payment_p2007_05.payment_p2007_05_rental_id_fkey_tenant
    add_tenant_foreign_key:public.payment_p2007_05.payment_p2007_05_staff_id_fkey_tenant
    validate_constraint:public.payment_p2007_05.payment_p2007_05_staff_id_fkey_tenant
    add_tenant_foreign_key:public.payment_p2007_06.payment_p2007_06_customer_id_fkey_tenant
    validate_constraint:public.payment_p2007_06.payment_p2007_06_customer_id_fkey_tenant
    add_tenant_foreign_key:public.payment_p2007_06.payment_p2007_06_rental_id_fkey_tenant
    validate_constraint:public.payment_p2007_06.payment_p2007_06_rental_id_fkey_tenant
    add_tenant_foreign_key:public.payment_p2007_06.payment_p2007_06_staff_id_fkey_tenant
    validate_constraint:public.payment_p2007_06.payment_p2007_06_staff_id_fkey_tenant
    add_tenant_foreign_key:public.actor.actor_tenant_fkey
    validate_constraint:public.actor.actor_tenant_fkey
    add_tenant_foreign_key:public.address.address_tenant_fkey
    validate_constraint:public.address.address_tenant_fkey
    add_tenant_foreign_key:public.category.category_tenant_fkey
    validate_constraint:public.category.category_tenant_fkey
    add_tenant_foreign_key:public.city.city_tenant_fkey
    validate_constraint:public.city.city_tenant_fkey
    add_tenant_foreign_key:public.country.country_tenant_fkey
    validate_constraint:public.country.country_tenant_fkey
    add_tenant_foreign_key:public.customer.customer_tenant_fkey
    validate_constraint:public.customer.customer_tenant_fkey
    add_tenant_foreign_key:public.film.film_tenant_fkey
    validate_constraint:public.film.film_tenant_fkey
    add_tenant_foreign_key:public.film_actor.film_actor_tenant_fkey
    validate_constraint:public.film_actor.film_actor_tenant_fkey
    add_tenant_foreign_key:public.film_category.film_category_tenant_fkey
    validate_constraint:public.film_category.film_category_tenant_fkey
    add_tenant_foreign_key:public.inventory.inventory_tenant_fkey
    validate_constraint:public.inventory.inventory_tenant_fkey
    add_tenant_foreign_key:public.language.language_tenant_fkey
    validate_constraint:public.language.language_tenant_fkey
    add_tenant_foreign_key:public.payment.payment_tenant_fkey
    validate_constraint:public.payment.payment_tenant_fkey
    add_tenant_foreign_key:public.rental.rental_tenant_fkey
    validate_constraint:public.rental.rental_tenant_fkey
    add_tenant_foreign_key:public.staff.staff_tenant_fkey
    validate_constraint:public.staff.staff_tenant_fkey
    add_tenant_foreign_key:public.store.store_tenant_fkey
    validate_constraint:public.store.store_tenant_fkey
    add_tenant_foreign_key:public.payment_p2007_01.payment_p2007_01_tenant_fkey
    validate_constraint:public.payment_p2007_01.payment_p2007_01_tenant_fkey
    add_tenant_foreign_key:public.payment_p2007_02.payment_p2007_02_tenant_fkey
    validate_constraint:public.payment_p2007_02.payment_p2007_02_tenant_fkey
    add_tenant_foreign_key:public.payment_p2007_03.payment_p2007_03_tenant_fkey
    validate_constraint:public.payment_p2007_03.payment_p2007_03_tenant_fkey
    add_tenant_foreign_key:public.payment_p2007_04.payment_p2007_04_tenant_fkey
    validate_constraint:public.payment_p2007_04.payment_p2007_04_tenant_fkey
    add_tenant_foreign_key:public.payment_p2007_05.payment_p2007_05_tenant_fkey
    validate_constraint:public.payment_p2007_05.payment_p2007_05_tenant_fkey
    add_tenant_foreign_key:public.payment_p2007_06.payment_p2007_06_tenant_fkey
    validate_constraint:public.payment_p2007_06.payment_p2007_06_tenant_fkey
    drop_legacy_key:public.address.address_city_id_fkey
    drop_legacy_key:public.city.city_country_id_fkey
    drop_legacy_key:public.customer.customer_address_id_fkey
    drop_legacy_key:public.customer.customer_store_id_fkey
    drop_legacy_key:public.film.film_language_id_fkey
    drop_legacy_key:public.film.film_original_language_id_fkey
    drop_legacy_key:public.film_actor.film_actor_actor_id_fkey
    drop_legacy_key:public.film_actor.film_actor_film_id_fkey
    drop_legacy_key:public.film_category.film_category_category_id_fkey
    drop_legacy_key:public.film_category.film_category_film_id_fkey
    drop_legacy_key:public.inventory.inventory_film_id_fkey
    drop_legacy_key:public.inventory.inventory_store_id_fkey
    drop_legacy_key:public.payment.payment_customer_id_fkey
    drop_legacy_key:public.payment.payment_rental_id_fkey
    drop_legacy_key:public.payment.payment_staff_id_fkey
    drop_legacy_key:public.rental.rental_customer_id_fkey
    drop_legacy_key:public.rental.rental_inventory_id_fkey
    drop_legacy_key:public.rental.rental_staff_id_fkey
    drop_legacy_key:public.staff.staff_address_id_fkey
    drop_legacy_key:public.staff.staff_store_id_fkey
    drop_legacy_key:public.store.store_address_id_fkey
    drop_legacy_key:public.store.store_manager_staff_id_fkey
    drop_legacy_key:public.payment_p2007_01.payment_p2007_01_customer_id_fkey
    drop_legacy_key:public.payment_p2007_01.payment_p2007_01_rental_id_fkey
    drop_legacy_key:public.payment_p2007_01.payment_p2007_01_staff_id_fkey
    drop_legacy_key:public.payment_p2007_02.payment_p2007_02_customer_id_fkey
    drop_legacy_key:public.payment_p2007_02.payment_p2007_02_rental_id_fkey
    drop_legacy_key:public.payment_p2007_02.payment_p2007_02_staff_id_fkey
    drop_legacy_key:public.payment_p2007_03.payment_p2007_03_customer_id_fkey
    drop_legacy_key:public.payment_p2007_03.payment_p2007_03_rental_id_fkey
    drop_legacy_key:public.payment_p2007_03.payment_p2007_03_staff_id_fkey
    drop_legacy_key:public.payment_p2007_04.payment_p2007_04_customer_id_fkey
    drop_legacy_key:public.payment_p2007_04.payment_p2007_04_rental_id_fkey
    drop_legacy_key:public.payment_p2007_04.payment_p2007_04_staff_id_fkey
    drop_legacy_key:public.payment_p2007_05.payment_p2007_05_customer_id_fkey
    drop_legacy_key:public.payment_p2007_05.payment_p2007_05_rental_id_fkey
    drop_legacy_key:public.payment_p2007_05.payment_p2007_05_staff_id_fkey
    drop_legacy_key:public.payment_p2007_06.payment_p2007_06_customer_id_fkey
    drop_legacy_key:public.payment_p2007_06.payment_p2007_06_rental_id_fkey
    drop_legacy_key:public.payment_p2007_06.payment_p2007_06_staff_id_fkey
    drop_legacy_key:public.rental.idx_unq_rental_rental_date_inventory_id_customer_id
    drop_legacy_key:public.store.idx_unq_manager_staff_id
    set_tenant_default:public.actor.tenant_id
    set_tenant_default:public.address.tenant_id
    set_tenant_default:public.category.tenant_id
    set_tenant_default:public.city.tenant_id
    set_tenant_default:public.country.tenant_id
    set_tenant_default:public.customer.tenant_id
    set_tenant_default:public.film.tenant_id
    set_tenant_default:public.film_actor.tenant_id
    set_tenant_default:public.film_category.tenant_id
    set_tenant_default:public.inventory.tenant_id
    set_tenant_default:public.language.tenant_id
    set_tenant_default:public.payment.tenant_id
    set_tenant_default:public.rental.tenant_id
    set_tenant_default:public.staff.tenant_id
    set_tenant_default:public.store.tenant_id
    set_tenant_default:public.payment_p2007_01.tenant_id
    set_tenant_default:public.payment_p2007_02.tenant_id
    set_tenant_default:public.payment_p2007_03.tenant_id
    set_tenant_default:public.payment_p2007_04.tenant_id
    set_tenant_default:public.payment_p2007_05.tenant_id
    set_tenant_default:public.payment_p2007_06.tenant_id
    close_table:public.actor
    close_table:public.address
    close_table:public.category
    close_table:public.city
    close_table:public.country
    close_table:public.customer
    close_table:public.film
    close_table:public.film_actor
    close_table:public.film_category
    close_table:public.inventory
    close_table:public.language
    close_table:public.payment
    close_table:public.rental
    close_table:public.staff
    close_table:public.store
    close_table:public.tenants
    close_table:public.payment_p2007_01
    close_table:public.payment_p2007_02
    close_table:public.payment_p2007_03
    close_table:public.payment_p2007_04
    close_table:public.payment_p2007_05
    close_table:public.payment_p2007_06
    ");
    insta::assert_snapshot!(plan.notes.join("\n"), @"
    21 scoped tables belong to the superuser postgres, whom row security never binds
    public.payment has rules, which act with its owner's rights: payment_insert_p2007_01, payment_insert_p2007_02, payment_insert_p2007_03, payment_insert_p2007_04, payment_insert_p2007_05, payment_insert_p2007_06
    ");
}

#[tokio::test]
async fn sakila_by_store_is_refused() {
    let Some((_, plan)) = planned("sakila", &existing("public.store")).await else { return };
    insta::assert_snapshot!(plan.unwrap_err().to_string(), @r#"
    public.store is not a tenant boundary: these references join different tenants:
      14,029 of 16,049 rows of public.payment cross by payment_customer_id_fkey to public.customer
      1,993 of 16,049 rows of public.payment cross by payment_rental_id_fkey to public.rental
      14,029 of 16,049 rows of public.payment cross by payment_staff_id_fkey to public.staff
      12,035 of 16,044 rows of public.rental cross by rental_customer_id_fkey to public.customer
      12,035 of 16,044 rows of public.rental cross by rental_inventory_id_fkey to public.inventory
      12,035 of 16,044 rows of public.rental cross by rental_staff_id_fkey to public.staff
    name another table with --tenant-root schema.table, or make one with --new-tenant-root name; to take public.store all the same, and settle what crosses by question, write in bastide.toml
      [answers]
      "boundary:public.store" = "accept"
    "#);
}
